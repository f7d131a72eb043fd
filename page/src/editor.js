// A small editor: one file, saved to the board or run without being saved.

import { ask, tell } from "./dialogs.js";
import { h } from "./dom.js";
import { Busy } from "./repl.js";

export class Editor {
  // What it needs: jobs, repl, and onopen(), onrun(), onclose().
  constructor(board) {
    this.board = board;
    this.path = "";
    this.saved = "";
    this.title = h("span", { className: "title" });
    this.area = h("textarea", { spellcheck: false, wrap: "off", "aria-label": "Text of the file" });
    for (const name of ["autocapitalize", "autocomplete", "autocorrect"]) this.area.setAttribute(name, "off");
    this.area.oninput = () => this.showTitle();
    this.area.onkeydown = (event) => this.key(event);
    const button = (text, title, onclick) => h("button", { type: "button", textContent: text, title, onclick });
    this.element = h(
      "section",
      { className: "editor", hidden: true, "aria-label": "Editor" },
      h(
        "div",
        { className: "bar" },
        this.title,
        button("Save", "Save to the board (Ctrl+S)", () => this.save()),
        button("Run", "Run without saving (Ctrl+Enter)", () => this.run()),
        button("Close", "Close the editor", () => this.close()),
      ),
      this.area,
    );
  }

  get changed() {
    return !this.element.hidden && this.area.value !== this.saved;
  }

  showTitle() {
    this.title.textContent = (this.changed ? "● " : "") + this.path;
    this.title.title = this.changed ? `${this.path}, changed` : this.path;
  }

  open(path, text, { isNew = false } = {}) {
    // A textarea has \n only; the file keeps what it has.
    this.newline = text.includes("\r\n") ? "\r\n" : "\n";
    this.path = path;
    this.area.value = text;
    this.saved = isNew ? null : this.area.value;
    this.element.hidden = false;
    this.board.onopen();
    this.showTitle();
    this.area.setSelectionRange(0, 0);
    this.area.focus();
  }

  key(event) {
    const control = (event.ctrlKey || event.metaKey) && !event.altKey;
    if (control && event.key === "s") this.save();
    else if (control && event.key === "Enter") this.run();
    else if (event.key === "Tab" && !event.shiftKey && !control && !this.leaving) this.insertIndent();
    else {
      // After Esc, Tab leaves the editor.
      this.leaving = event.key === "Escape";
      return;
    }
    event.preventDefault();
  }

  insertIndent() {
    const column = this.area.selectionStart - (this.area.value.lastIndexOf("\n", this.area.selectionStart - 1) + 1);
    // The browser's undo knows what comes this way.
    document.execCommand("insertText", false, " ".repeat(4 - (column % 4)));
  }

  async save() {
    const text = this.area.value;
    const { path } = this;
    if (await this.board.jobs.upload(path, new Blob([text.replaceAll("\n", this.newline)]))) {
      if (path === this.path) this.saved = text;
      this.showTitle();
      return true;
    }
    return false;
  }

  async run() {
    const text = this.area.value;
    if (/[\x00-\x08\x0b\x0c\x0e-\x1f]/.test(text)) {
      return tell("That cannot be run", "There is a control character in the text.");
    }
    try {
      this.board.onrun();
      await this.board.repl.run(text, `# run ${this.path}, as in the editor`);
    } catch (error) {
      if (error instanceof Busy)
        await tell("The prompt is not idle", "Stop the program, or wait for it, and try again.");
    }
  }

  // Resolves with false if there is something in it that a person wants to keep.
  async mayClose() {
    if (!this.changed) return true;
    const answer = await ask("Save the changes?", h("p", { textContent: this.path }), [
      { text: "Cancel", value: null },
      { text: "Don't save", value: "no", kind: "danger" },
      { text: "Save", value: "yes", kind: "main" },
    ]);
    return answer === "yes" ? this.save() : answer === "no";
  }

  async close() {
    if (!(await this.mayClose())) return;
    this.element.hidden = true;
    this.board.onclose();
  }
}
