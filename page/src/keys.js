// The keys that phones lack.

import { h } from "./dom.js";

const KEYS = [
  ["Esc", "Escape", "\x1b"],
  ["Tab", "Tab", "\t"],
  ["Ctrl-C", "Control C: stop the program", "\x03"],
  ["Ctrl-D", "Control D: soft reset, or run what is in paste mode", "\x04"],
];
const ARROWS = [
  ["←", "Left", "\x1b[D"],
  ["↑", "Up", "\x1b[A"],
  ["↓", "Down", "\x1b[B"],
  ["→", "Right", "\x1b[C"],
];

// Make the row of keys; ontype(keys) as if they were on the keyboard, onpaste() and ontext() for what a finger cannot do.
export function keyRow({ ontype, onpaste, ontext }) {
  const button = (text, label, onclick) =>
    h("button", {
      type: "button",
      textContent: text,
      "aria-label": label,
      onclick,
      // The terminal keeps the focus, and the phone its keyboard.
      onpointerdown: (event) => event.preventDefault(),
      onmousedown: (event) => event.preventDefault(),
    });
  const key = ([text, label, keys]) => button(text, label, () => ontype(keys));
  return h(
    "div",
    { className: "keys", role: "toolbar", "aria-label": "Keys" },
    ...KEYS.map(key),
    button("Paste", "Paste text", onpaste),
    ...ARROWS.map(key),
    button("Text", "The terminal as text, to copy from", ontext),
  );
}
