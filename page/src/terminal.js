// The terminal: xterm.js, with the colours of the system's setting, and with ways to copy and to paste that need no
// secure context, which a board's address is none of.

import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";

const LIGHT = {
  background: "#ffffff",
  foreground: "#1f2328",
  cursor: "#0b57d0",
  cursorAccent: "#ffffff",
  selectionBackground: "#b6d7ff",
  black: "#24292f",
  red: "#c0262d",
  green: "#116329",
  yellow: "#7d4e00",
  blue: "#0b57d0",
  magenta: "#8250df",
  cyan: "#1b7c83",
  white: "#57606a",
  brightBlack: "#656d76",
  brightRed: "#a40e26",
  brightGreen: "#1a7f37",
  brightYellow: "#633c01",
  brightBlue: "#218bff",
  brightMagenta: "#a475f9",
  brightCyan: "#3192aa",
  brightWhite: "#424a53",
};
const DARK = {
  background: "#0f1419",
  foreground: "#e6e9ed",
  cursor: "#7cb0ff",
  cursorAccent: "#0f1419",
  selectionBackground: "#264f78",
  black: "#484f58",
  red: "#ff7b72",
  green: "#3fb950",
  yellow: "#d29922",
  blue: "#58a6ff",
  magenta: "#bc8cff",
  cyan: "#39c5cf",
  white: "#b1bac4",
  brightBlack: "#8b949e",
  brightRed: "#ffa198",
  brightGreen: "#56d364",
  brightYellow: "#e3b341",
  brightBlue: "#79c0ff",
  brightMagenta: "#d2a8ff",
  brightCyan: "#56d4dd",
  brightWhite: "#ffffff",
};
const dark = matchMedia("(prefers-color-scheme: dark)");

// Copy text: navigator.clipboard is there in secure contexts only.
export function copy(text) {
  const listener = (event) => {
    event.clipboardData.setData("text/plain", text);
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  document.addEventListener("copy", listener, true);
  document.execCommand("copy");
  document.removeEventListener("copy", listener, true);
}

export class Screen {
  // Listeners: ontype(keys), onpaste(text), onleave() for the key that leaves the terminal.
  constructor(place, listeners) {
    this.terminal = new Terminal({
      cursorBlink: true,
      fontFamily: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace',
      fontSize: 14,
      scrollback: 5000,
      theme: dark.matches ? DARK : LIGHT,
    });
    const fit = new FitAddon();
    this.terminal.loadAddon(fit);
    this.terminal.open(place);
    this.terminal.textarea.setAttribute("aria-label", "Terminal. Shift+Tab leaves it, F6 goes to the files.");
    this.terminal.onData(listeners.ontype);
    this.terminal.attachCustomKeyEventHandler((event) => this.key(event, listeners));
    place.addEventListener(
      "paste",
      (event) => {
        event.preventDefault();
        event.stopPropagation();
        listeners.onpaste(event.clipboardData.getData("text/plain"));
      },
      true,
    );
    new ResizeObserver(() => {
      // A hidden place has no size to fit.
      if (place.clientWidth && place.clientHeight) fit.fit();
    }).observe(place);
    dark.addEventListener("change", () => {
      this.terminal.options.theme = dark.matches ? DARK : LIGHT;
    });
  }

  // Tell if xterm is to have the key. What it does not have, the browser does: Ctrl-V pastes.
  key(event, { onleave }) {
    const control = event.ctrlKey && !event.altKey && !event.metaKey;
    if (event.key === "F6") {
      if (event.type === "keydown") {
        event.preventDefault();
        onleave();
      }
      return false;
    }
    if (event.key === "Tab" && event.shiftKey) return false;
    if (control && event.code === "KeyV") return false;
    if (control && event.code === "KeyC" && (event.shiftKey || this.terminal.hasSelection())) {
      event.preventDefault();
      if (event.type === "keydown" && this.terminal.hasSelection()) {
        copy(this.terminal.getSelection());
        this.terminal.clearSelection();
      }
      return false;
    }
    return true;
  }

  write(text) {
    this.terminal.write(text);
  }

  // Say something that is not from the board.
  note(text) {
    this.terminal.write(`\r\n\x1b[2m[${text}]\x1b[0m\r\n`);
  }

  focus() {
    this.terminal.focus();
  }

  // Return all that is there, as text, without the lines that fill the screen.
  text() {
    const buffer = this.terminal.buffer.active;
    let text = "";
    for (let i = 0; i < buffer.length; i++) {
      const line = buffer.getLine(i);
      text += (line.isWrapped || !i ? "" : "\n") + line.translateToString(!buffer.getLine(i + 1)?.isWrapped);
    }
    return text.trimEnd();
  }
}
