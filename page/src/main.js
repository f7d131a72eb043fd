// The client of a MicroPython board's WebREPL, in the page that the board itself serves.

import xtermStyle from "@xterm/xterm/css/xterm.css";
import { ask } from "./dialogs.js";
import { h } from "./dom.js";
import { Editor } from "./editor.js";
import { Files } from "./files.js";
import { Jobs } from "./jobs.js";
import { keyRow } from "./keys.js";
import { Panel } from "./panel.js";
import { Progress } from "./progress.js";
import { Repl } from "./repl.js";
import { Session } from "./session.js";
import style from "./style.css";
import { copy, Screen } from "./terminal.js";
import { Transfer } from "./transfer.js";

const CTRL_D = "\x04";
const CTRL_E = "\x05";
// How long the board may be silent before it is asked if it is there, in ms.
const SILENCE = 5000;

// A promise of something that comes and goes: wait() resolves at once while it is there.
class Gate {
  constructor() {
    this.open = false;
    this.waiting = [];
  }

  set(open) {
    this.open = open;
    if (open) for (const resolve of this.waiting.splice(0)) resolve();
  }

  wait() {
    return this.open ? Promise.resolve() : new Promise((resolve) => this.waiting.push(resolve));
  }
}

function start() {
  const host = location.host;
  document.documentElement.lang = "en";
  document.title = `WebREPL of ${host}`;
  const viewport = "width=device-width,initial-scale=1,interactive-widget=resizes-content";
  document.head.append(
    h("meta", { name: "viewport", content: viewport }),
    h("meta", { name: "color-scheme", content: "light dark" }),
    h("style", { textContent: xtermStyle + style }),
  );

  const idle = new Gate();
  const online = new Gate();
  let late = false;

  // The parts, from the wire up.
  const session = new Session(host, {
    onstate: (state) => showState(state),
    ononline: () => {
      repl.online();
      transfer.online();
      // What it did meanwhile, nobody knows.
      panel.stale = true;
      online.set(true);
    },
    onoffline: (reason) => {
      online.set(false);
      transfer.reset(reason);
      repl.reset();
      screen.note(reason);
    },
    ontext: (text) => repl.receive(text),
    onbinary: (bytes) => transfer.receive(bytes),
  });
  const repl = new Repl(
    (keys) => session.connection?.sendText(keys),
    (key) => session.connection?.interrupt(key),
    {
      onoutput: (text) => screen.write(text),
      onreset: () => session.expectReset(),
      onstate: (state) => {
        idle.set(state === "idle");
        panel.stateChanged();
        progress.stateChanged();
      },
    },
  );
  const transfer = new Transfer(
    (bytes) => session.connection?.sendBinary(bytes),
    () => session.connection?.room(),
  );
  const files = new Files(repl);
  const board = { session, repl, transfer, files, idle: () => idle.wait(), online: () => online.wait() };
  const progress = new Progress(board);
  const jobs = new Jobs(board, {
    onchange: (job) => progress.change(job),
    onfiles: () => panel.refresh(),
  });
  const editor = new Editor({
    jobs,
    repl,
    onopen: () => showFiles(false),
    onrun: () => showFiles(false),
    onclose: () => screen.focus(),
  });
  const type = (keys) => {
    showFiles(false);
    repl.type(keys);
    screen.focus();
  };
  const panel = new Panel({ repl, files, jobs, editor, type });

  // The page.
  const state = h("span", { className: "state", role: "status" });
  const again = h("button", { type: "button", textContent: "Connect", onclick: () => connectAgain() });
  const filesButton = h("button", {
    type: "button",
    textContent: "Files",
    "aria-expanded": "false",
    "aria-controls": "files",
    onclick: () => showFiles(!document.body.classList.contains("files-open")),
  });
  const place = h("div", { className: "terminal" });
  const keys = keyRow({ ontype: type, onpaste: () => pasteByHand(), ontext: () => showText() });
  const login = loginForm(host, (password) => session.connect(password));
  panel.element.append(progress.element, progress.voice);
  document.body.replaceChildren(
    h("header", {}, h("span", { className: "dot", "aria-hidden": "true" }), state, again, filesButton),
    h("main", {}, h("div", { className: "work" }, editor.element, place, keys), panel.element),
    login.element,
  );
  const screen = new Screen(place, {
    ontype: (text) => repl.type(text),
    onpaste: (text) => paste(text),
    onleave: () => {
      showFiles(true);
      panel.focus();
    },
  });
  panel.element.addEventListener("keydown", (event) => {
    if (event.key === "F6") {
      event.preventDefault();
      screen.focus();
    }
    if (event.key === "Escape" && document.body.classList.contains("files-open")) {
      showFiles(false);
      filesButton.focus();
    }
  });
  addEventListener("beforeunload", (event) => {
    if (editor.changed) event.preventDefault();
  });
  fitKeyboard();
  showState(session.state);
  login.focus();
  setInterval(() => lookAfter(), 1000);

  function showState({ phase, text, denied }) {
    late = false;
    document.body.dataset.phase = phase;
    state.textContent = text;
    again.textContent = { off: "Connect", connecting: "Cancel", online: "Disconnect", again: "Connect now" }[phase];
    if (login.element.hidden !== session.known) {
      login.element.hidden = session.known;
      if (session.known) screen.focus();
    }
    if (!session.known) login.show(phase === "off" && session.password !== null ? text : "", phase === "connecting");
    if (denied) login.clear();
  }

  function connectAgain() {
    if (session.phase === "online" || session.phase === "connecting") session.disconnect();
    else if (session.known) session.connect();
    else login.submit();
  }

  function showFiles(shown) {
    document.body.classList.toggle("files-open", shown);
    filesButton.setAttribute("aria-expanded", String(shown));
  }

  // Ask a board that has long said nothing for a sign, and say if none comes: a connection that is cut shows by nothing
  // else. While a program computes, some boards answer nobody.
  function lookAfter() {
    const { connection } = session;
    if (!session.online) return;
    const silence = Date.now() - connection.heard;
    if (late) state.textContent = `No answer for ${Math.round(silence / 1000)} s: the board is busy, or gone`;
    setLate(transfer.patience > 0 && silence > transfer.patience);
    if (silence > SILENCE && !transfer.patience) transfer.ping().catch(() => {});
  }

  function setLate(isLate) {
    if (late === isLate) return;
    late = isLate;
    document.body.dataset.phase = isLate ? "late" : session.phase;
    state.textContent = session.state.text;
  }

  async function paste(text) {
    const keys = text.replace(/\r?\n/g, "\r");
    const lines = keys.replace(/\r$/, "").split("\r").length;
    const atPrompt = repl.state !== "program";
    let how = "plain";
    if (lines > 1 && atPrompt) {
      how = await ask(
        `Paste ${lines} lines?`,
        h("p", { textContent: "Paste mode takes them as one piece, without indenting them again." }),
        [
          { text: "Cancel", value: null },
          { text: "As they are", value: "plain" },
          { text: "In paste mode", value: "mode", kind: "main" },
        ],
      );
    }
    if (how) type(how === "mode" ? CTRL_E + keys + CTRL_D : keys);
  }

  async function pasteByHand() {
    const area = h("textarea", { rows: 6, "aria-label": "Text to paste", autofocus: true, spellcheck: false });
    const send = await ask("Paste", area, [
      { text: "Cancel", value: false },
      { text: "Send", value: true, kind: "main" },
    ]);
    if (send && area.value) paste(area.value);
  }

  async function showText() {
    const text = screen.text();
    const area = h("textarea", { rows: 14, readOnly: true, value: text, "aria-label": "Text of the terminal" });
    const all = await ask("Text of the terminal", area, [
      { text: "Close", value: false },
      { text: "Copy all", value: true, kind: "main" },
    ]);
    if (all) copy(text);
  }
}

// The first thing that a person sees.
function loginForm(host, onpassword) {
  const password = h("input", { type: "password", id: "password", autocomplete: "current-password", required: true });
  const error = h("p", { className: "error", role: "alert" });
  const button = h("button", { type: "submit", className: "main", textContent: "Connect" });
  const form = h(
    "form",
    {
      onsubmit: (event) => {
        event.preventDefault();
        onpassword(password.value);
      },
    },
    h("h1", { textContent: "WebREPL" }),
    h("label", { for: "password", textContent: `Password of the board at ${host}` }),
    // What a password manager files it under.
    h("input", { type: "text", value: host, autocomplete: "username", readOnly: true, hidden: true }),
    password,
    button,
    error,
  );
  return {
    element: h("div", { className: "login" }, form),
    focus: () => password.focus(),
    submit: () => form.requestSubmit(),
    clear: () => {
      password.value = "";
      password.focus();
    },
    show: (text, busy) => {
      error.textContent = text;
      button.disabled = busy;
      button.textContent = busy ? "Connecting …" : "Connect";
    },
  };
}

// Where the phone's keyboard covers the page, the page ends above it.
function fitKeyboard() {
  const fit = () => document.documentElement.style.setProperty("--height", `${visualViewport.height}px`);
  if (!window.visualViewport) return;
  visualViewport.addEventListener("resize", fit);
  fit();
}

if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
else start();
