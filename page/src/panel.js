// The files of the board: the list, and what can be done with it.

import { ask, confirm, prompt, tell } from "./dialogs.js";
import { h, sizeText } from "./dom.js";
import { errorText, join } from "./files.js";
import { pathProblem } from "./jobs.js";
import { Busy } from "./repl.js";

// The largest file that is opened in the editor, in bytes.
const EDIT_MAX = 100_000;
const STATES = {
  program: "A program is running: the list waits for the prompt. Sending and getting files goes on.",
  line: "There is an unfinished line at the prompt: the list waits for it.",
};

export class Panel {
  // What it needs: repl, files, jobs, editor, type(keys) as if at the keyboard.
  constructor(board) {
    this.board = board;
    this.folder = undefined;
    this.entries = [];
    this.free = -1;
    // True if the list is not that of the board, as far as we know.
    this.stale = true;
    this.chooser = h("input", { type: "file", multiple: true, hidden: true, "aria-label": "Files to send" });
    this.chooser.onchange = () => {
      this.send([...this.chooser.files]);
      this.chooser.value = "";
    };
    const button = (text, label, onclick) =>
      h("button", { type: "button", textContent: text, title: label, "aria-label": label, onclick });
    this.path = h("div", { className: "path" });
    this.notice = h("div", { className: "notice", role: "status", hidden: true });
    this.list = h("ul", { className: "list", "aria-label": "Files on the board" });
    this.foot = h("div", { className: "foot" });
    this.element = h(
      "section",
      { id: "files", className: "files", "aria-label": "Files" },
      h(
        "div",
        { className: "bar" },
        button("Send files …", "Send files to the board", () => this.chooser.click()),
        button("New", "New file or folder", (event) => this.create(event.currentTarget)),
        button("⟳", "Refresh the list", () => this.refresh()),
      ),
      this.chooser,
      this.path,
      this.notice,
      this.list,
      this.foot,
    );
    this.accept(document.body);
    this.show();
  }

  // Have files that are dropped anywhere sent to the folder that is open.
  accept(place) {
    place.addEventListener("dragover", (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      this.element.classList.add("drop");
    });
    place.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) this.element.classList.remove("drop");
    });
    place.addEventListener("drop", (event) => {
      this.element.classList.remove("drop");
      if (!event.dataTransfer.files.length) return;
      event.preventDefault();
      const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
      const folder = items.some((item) => item.webkitGetAsEntry?.()?.isDirectory);
      if (folder) tell("Only files", "A folder cannot be sent. Make one here, open it, and drop the files.");
      else this.send([...event.dataTransfer.files]);
    });
  }

  // Called when what the board's prompt does has changed.
  stateChanged() {
    const state = this.board.repl.state;
    if (state === "idle" && this.stale) this.refresh();
    this.showNotice();
  }

  // Read the list now, or as soon as the prompt is idle.
  async refresh() {
    this.stale = true;
    if (this.board.repl.state !== "idle" && this.board.repl.state !== "ours") {
      this.showNotice();
      return;
    }
    this.stale = false;
    this.element.setAttribute("aria-busy", "true");
    const wanted = this.folder;
    try {
      const { folder, free, entries } = await this.board.files.list(wanted);
      if (wanted === this.folder) Object.assign(this, { folder, free, entries, error: "" });
    } catch (error) {
      if (error instanceof Busy || this.board.repl.state === "off") this.stale = true;
      else this.error = errorText(error);
    }
    this.element.removeAttribute("aria-busy");
    this.show();
  }

  open(folder) {
    this.folder = folder;
    this.entries = [];
    this.show();
    this.refresh();
  }

  show() {
    const folder = this.folder ?? "/";
    const parts = folder.split("/").filter(Boolean);
    const crumbs = parts.map((name, i) =>
      h("button", {
        type: "button",
        className: "crumb",
        textContent: name,
        onclick: () => this.open(`/${parts.slice(0, i + 1).join("/")}`),
      }),
    );
    const root = h("button", {
      type: "button",
      className: "crumb",
      textContent: "Board",
      "aria-label": "Top folder of the board",
      onclick: () => this.open("/"),
    });
    this.path.replaceChildren(root, ...crumbs.flatMap((crumb) => [" / ", crumb]));
    this.list.replaceChildren(...this.entries.map((entry) => this.row(entry)));
    if (!this.entries.length) {
      const text = this.error || (this.stale ? "" : "No files here. Drop some.");
      if (text) this.list.append(h("li", { className: "empty", textContent: text }));
    }
    this.foot.textContent = this.free >= 0 ? `${sizeText(this.free)} free` : "";
    this.showNotice();
  }

  showNotice() {
    const text = this.stale ? STATES[this.board.repl.state] : "";
    this.notice.hidden = !text;
    if (!text) this.notice.replaceChildren();
    else if (this.notice.firstChild?.textContent !== text) {
      this.notice.replaceChildren(
        h("span", { textContent: text }),
        h("button", {
          type: "button",
          textContent: this.board.repl.state === "line" ? "Clear the line (Ctrl-C)" : "Stop it (Ctrl-C)",
          onclick: () => this.board.repl.stop(),
        }),
      );
    }
  }

  row(entry) {
    const path = join(this.folder, entry.name);
    const open = () => (entry.isFolder ? this.open(path) : this.edit(entry));
    return h(
      "li",
      {},
      h(
        "button",
        { type: "button", className: entry.isFolder ? "name folder" : "name", onclick: open },
        h("span", { textContent: entry.name }),
        entry.isFolder ? h("span", { className: "hidden", textContent: ", folder" }) : null,
      ),
      h("span", { className: "size", textContent: sizeText(entry.size) }),
      h("button", {
        type: "button",
        className: "more",
        textContent: "⋯",
        title: "More",
        "aria-label": `More for ${entry.name}`,
        onclick: (event) => this.menu(entry, event.currentTarget),
      }),
    );
  }

  async menu(entry, anchor) {
    const actions = [
      entry.isFolder
        ? { text: "Open", value: () => this.open(join(this.folder, entry.name)) }
        : { text: "Edit", value: () => this.edit(entry) },
      /\.py$/.test(entry.name) && { text: "Run", value: () => this.run(entry) },
      !entry.isFolder && { text: "Download", value: () => this.download(entry) },
      { text: "Rename …", value: () => this.rename(entry) },
      { text: "Delete …", value: () => this.remove(entry), kind: "danger" },
      { text: "Close", value: null },
    ];
    const size = entry.isFolder ? "Folder" : sizeText(entry.size);
    const action = await ask(entry.name, h("p", { textContent: size }), actions.filter(Boolean), { anchor });
    action?.();
  }

  // Do something with the board's files at the idle prompt, and show the list it leaves.
  async change(use) {
    try {
      await use();
    } catch (error) {
      const busy = error instanceof Busy;
      const text = busy
        ? "The board's prompt is not idle. Stop the program, or wait for it, and try again."
        : errorText(error);
      await tell("That did not work", text);
      if (busy) return;
    }
    await this.refresh();
  }

  async send(files) {
    const known = new Map(this.entries.map((entry) => [entry.name, entry]));
    const problem = files.map((file) => pathProblem(join(this.folder ?? "/", file.name))).find(Boolean);
    if (problem) return tell("That cannot be sent", problem);
    const folder = files.find((file) => known.get(file.name)?.isFolder);
    if (folder) return tell("That cannot be sent", `There is a folder named ${folder.name}.`);
    const total = files.reduce((sum, file) => sum + file.size, 0);
    if (this.free >= 0 && total > this.free) {
      return tell("That cannot be sent", `The board has ${sizeText(this.free)} left; that is ${sizeText(total)}.`);
    }
    const old = files.filter((file) => known.has(file.name)).map((file) => file.name);
    if (old.length && !(await confirm("Replace?", `On the board already: ${old.join(", ")}`, "Replace"))) return;
    for (const file of files) this.board.jobs.upload(join(this.folder ?? "/", file.name), file);
  }

  async download(entry) {
    const blob = await this.board.jobs.download(join(this.folder, entry.name), entry.size);
    if (!blob) return;
    const link = h("a", { href: URL.createObjectURL(blob), download: entry.name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  async edit(entry) {
    const path = join(this.folder, entry.name);
    if (entry.size > EDIT_MAX) {
      const sizes = `${entry.name} has ${sizeText(entry.size)}; the editor takes ${sizeText(EDIT_MAX)}.`;
      if (await confirm("Too large to edit", sizes, "Download")) this.download(entry);
      return;
    }
    if (!(await this.board.editor.mayClose())) return;
    const blob = await this.board.jobs.download(path, entry.size);
    if (!blob) return;
    let text;
    try {
      text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await blob.arrayBuffer());
      if (text.includes("\0")) throw new TypeError("a zero");
    } catch {
      if (await confirm("No text", `${entry.name} is not a text file.`, "Download")) this.download(entry);
      return;
    }
    this.board.editor.open(path, text);
  }

  run(entry) {
    if (this.board.repl.state !== "idle") return this.change(() => Promise.reject(new Busy()));
    const path = join(this.folder, entry.name);
    const quoted = path.replace(/[\\']/g, "\\$&");
    this.board.type(`exec(open('${quoted}').read())\r`);
  }

  async create(anchor) {
    const kind = await ask(
      "New",
      [],
      [
        { text: "File", value: "file", kind: "main" },
        { text: "Folder", value: "folder" },
        { text: "Close", value: null },
      ],
      { anchor },
    );
    if (!kind) return;
    const name = await this.newName(`New ${kind}`, kind === "file" ? "new.py" : "lib", "Create");
    if (!name) return;
    if (kind === "folder") return this.change(() => this.board.files.makeFolder(name));
    if (await this.board.editor.mayClose()) this.board.editor.open(name, "", { isNew: true });
  }

  // Ask for a name that the folder does not have; resolves with its path, or null.
  async newName(title, value, yes) {
    const name = await prompt(title, "Name", value, yes);
    if (!name) return null;
    const path = join(this.folder ?? "/", name);
    let problem = pathProblem(path);
    if (name.includes("/")) problem = "A name has no slash.";
    if (this.entries.some((entry) => entry.name === name)) problem = `There is a ${name} already.`;
    if (problem) {
      await tell("Another name, please", problem);
      return null;
    }
    return path;
  }

  async rename(entry) {
    const path = await this.newName("Rename", entry.name, "Rename");
    if (path) await this.change(() => this.board.files.rename(join(this.folder, entry.name), path));
  }

  async remove(entry) {
    const path = join(this.folder, entry.name);
    const what = entry.isFolder ? `The folder ${entry.name} must be empty.` : `${entry.name} will be gone for good.`;
    if (!(await confirm("Delete?", what, "Delete", "danger"))) return;
    await this.change(() => this.board.files.remove({ path, isFolder: entry.isFolder }));
  }

  focus() {
    (this.list.querySelector("button") ?? this.element.querySelector("button")).focus();
  }
}
