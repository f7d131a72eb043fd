// Questions, and anything else that wants an answer first.

import { h } from "./dom.js";

// Show a dialog with buttons { text, value, kind }; resolves with the value of the one pressed, or null.
export function ask(title, body, buttons, { anchor } = {}) {
  return new Promise((resolve) => {
    const titled = h("h2", { id: "dialog-title", textContent: title });
    const form = h(
      "form",
      { method: "dialog" },
      titled,
      ...[body].flat(),
      h(
        "div",
        { className: "buttons" },
        ...buttons.map(({ text, value, kind = "" }, i) =>
          h("button", {
            type: "submit",
            value: String(i),
            className: kind,
            textContent: text,
            autofocus: kind === "main",
            formNoValidate: !value,
          }),
        ),
      ),
    );
    const dialog = h("dialog", { "aria-labelledby": "dialog-title", className: anchor ? "menu" : "" }, form);
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "" ? null : buttons[Number(dialog.returnValue)].value);
    });
    // A click beside it is no answer.
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close("");
    });
    document.body.append(dialog);
    dialog.showModal();
    if (anchor) place(dialog, anchor);
  });
}

// Put a menu beside what opened it, where there is room for that.
function place(dialog, anchor) {
  const { right, bottom, top } = anchor.getBoundingClientRect();
  if (innerWidth < 700) return;
  const { width, height } = dialog.getBoundingClientRect();
  dialog.style.margin = "0";
  dialog.style.left = `${Math.max(8, right - width)}px`;
  dialog.style.top = `${bottom + height + 8 < innerHeight ? bottom + 4 : Math.max(8, top - height - 4)}px`;
}

export const confirm = (title, text, yes, kind = "main") =>
  ask(title, h("p", { textContent: text }), [
    { text: "Cancel", value: false },
    { text: yes, value: true, kind },
  ]);

// Say something that has to be read.
export const tell = (title, text) =>
  ask(title, h("p", { textContent: text }), [{ text: "OK", value: true, kind: "main" }]);

// Ask for a line of text; resolves with it, or null.
export async function prompt(title, label, value, yes) {
  const input = h("input", { value, required: true, autocomplete: "off", spellcheck: false, autofocus: true });
  input.setAttribute("autocapitalize", "off");
  const answer = ask(title, h("label", {}, label, input), [
    { text: yes, value: true, kind: "main" },
    { text: "Cancel", value: false },
  ]);
  input.focus();
  // Up to the suffix is what one wants to change.
  input.setSelectionRange(0, value.lastIndexOf(".") > 0 ? value.lastIndexOf(".") : value.length);
  return (await answer) ? input.value.trim() : null;
}
