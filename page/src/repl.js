// The board's REPL: whether its prompt is idle, and code run behind the terminal's back through the raw REPL
// (https://docs.micropython.org/en/latest/reference/repl.html#raw-mode-and-raw-paste-mode).

import { sleep } from "./dom.js";

const CTRL_A = "\x01"; // enter the raw REPL
const CTRL_B = "\x02"; // leave it
const CTRL_C = "\x03";
const CTRL_D = "\x04"; // run what was sent
const PROMPT = ">>> ";
const RAW_BANNER = "raw REPL; CTRL-B to exit\r\n>";
// How long the board may take to enter the raw REPL, in ms: it does at once, or a program runs.
const ENTER_TIMEOUT = 2000;
// How long it may say nothing while it runs code of ours, in ms.
const RUN_TIMEOUT = 60_000;
// How long the prompt must have been quiet to be idle, in ms.
const QUIET = 150;
// How long what was left of an attempt may take to come, in ms.
const STALE = 600;

export class Busy extends Error {}
export class BoardError extends Error {}

export class Repl {
  // Listeners: onoutput(text) for the terminal, onreset() before a soft reset, onstate("idle" | "prompt" | "line" | "program" |
  // "ours" | "off"): "prompt" if it may be idle, "ours" if code of ours runs.
  constructor(send, interrupt, listeners) {
    this.send = send;
    this.interrupt = interrupt;
    this.listeners = listeners;
    this.queue = Promise.resolve();
    this.state = "off";
    this.reset();
  }

  // Forget the connection that was.
  reset() {
    this.fail?.(new BoardError("The connection ended."));
    this.fail = null;
    this.reader = null;
    this.line = "";
    this.typed = false;
    this.keys = "";
    this.stale = 0;
    this.held = "";
    this.passing = false;
    clearTimeout(this.idleTimer);
    this.set("off");
  }

  // A login ends with a prompt, whatever the board does: if a program runs, the first attempt shows it.
  online() {
    this.reset();
    this.set("program");
  }

  set(state) {
    if (state === this.state) return;
    this.state = state;
    this.listeners.onstate(state);
  }

  // Take what the board prints.
  receive(text) {
    if (this.reader) {
      this.reader(text);
      return;
    }
    this.show(text);
  }

  show(text) {
    const visible = this.stale ? this.withoutStale(text) : text;
    if (!visible) return;
    this.line = (this.line + visible).slice(-500).split("\n").at(-1);
    this.typed &&= !this.line.endsWith(PROMPT);
    this.listeners.onoutput(visible);
    this.judge();
  }

  judge() {
    clearTimeout(this.idleTimer);
    if (this.line === PROMPT && !this.typed) {
      this.set("prompt");
      this.idleTimer = setTimeout(
        () => {
          this.stale = 0;
          this.set("idle");
        },
        this.stale ? STALE : QUIET,
      );
    } else {
      this.set(/^(>>>|\.\.\.|===) /.test(this.line) ? "line" : "program");
    }
  }

  // Take an attempt's answer that comes late, when the program has ended, out of the text: all from the raw REPL's
  // banner to the next prompt.
  withoutStale(text) {
    const mark = `\r\n${RAW_BANNER}`;
    const all = this.held + text;
    let start = all.indexOf(mark);
    if (start < 0) {
      // It may come in pieces.
      start = Math.max(all.length - mark.length, 0);
      while (!mark.startsWith(all.slice(start))) start++;
    } else {
      clearTimeout(this.idleTimer);
      const end = all.indexOf(PROMPT, start);
      if (end >= 0) {
        this.stale--;
        this.held = "";
        this.line = PROMPT;
        this.typed = false;
        this.judge();
        return all.slice(0, start) + all.slice(end + PROMPT.length);
      }
    }
    this.held = all.slice(start);
    return all.slice(0, start);
  }

  // Send what a person types.
  type(keys) {
    if (keys === CTRL_D && this.state === "idle") this.listeners.onreset();
    if (keys.includes(CTRL_C)) {
      this.keys = "";
      this.interrupt(keys.slice(keys.lastIndexOf(CTRL_C)));
    } else if (this.reader && !this.passing) {
      this.keys += keys;
      return;
    } else {
      this.send(keys);
    }
    if (this.reader) return;
    this.typed = true;
    clearTimeout(this.idleTimer);
    if (this.state === "idle") this.set("line");
  }

  // Run code unseen; resolve with what it printed. Throw Busy if the prompt is not idle, BoardError if it raised.
  exec(code) {
    return this.exclusive(async (text) => {
      await this.enter(text);
      this.send(code + CTRL_D);
      const [, output, error] = await text.match(/OK([^\x04]*)\x04([^\x04]*)\x04>/, RUN_TIMEOUT);
      await this.leave(text);
      if (error) throw new BoardError(lastLine(error));
      return output.replaceAll("\r\n", "\n");
    });
  }

  // Run code with its output, and what is typed meanwhile, in the terminal, where the title stands for the code.
  run(code, title) {
    return this.exclusive(async (text) => {
      await this.enter(text);
      this.set("program");
      this.send(code + CTRL_D);
      await text.match(/OK/, RUN_TIMEOUT);
      this.listeners.onoutput(`\x1b[2m${title.replace(/[\x00-\x1f]/g, "?")}\x1b[0m\r\n`);
      this.passing = true;
      await text.pass(CTRL_D, this.listeners.onoutput);
      await text.pass(CTRL_D, this.listeners.onoutput);
      this.passing = false;
      await text.match(/^>/, RUN_TIMEOUT);
      await this.leave(text);
      this.listeners.onoutput(PROMPT);
    });
  }

  // Stop the program, or clear the line.
  stop() {
    this.type(CTRL_C);
  }

  // Have one use of the raw REPL after the other.
  exclusive(use) {
    const result = this.queue.then(async () => {
      while (this.state === "prompt") await sleep(20);
      if (this.state !== "idle") throw new Busy();
      return this.read(use);
    });
    this.queue = result.catch(() => {});
    return result;
  }

  // Take what comes from the board, for as long as use() reads it.
  async read(use) {
    const text = new Reader();
    this.reader = (piece) => text.push(piece);
    this.fail = (error) => text.fail(error);
    this.set("ours");
    try {
      return await use(text);
    } finally {
      if (this.fail) {
        this.fail = null;
        this.reader = null;
        this.passing = false;
        this.show(text.rest());
        if (this.keys) {
          const keys = this.keys;
          this.keys = "";
          this.type(keys);
        }
        if (this.line === PROMPT && !this.typed) this.set("idle");
        else this.judge();
      }
    }
  }

  async enter(text) {
    this.send(CTRL_A);
    let match;
    try {
      match = await text.match(/(?:\r\n)?raw REPL; CTRL-B to exit\r\n>/, ENTER_TIMEOUT);
    } catch (error) {
      if (!(error instanceof Timeout)) throw error;
      // Whenever the program ends, or reads that, it is to do no harm.
      this.send(CTRL_B);
      this.stale++;
      this.line = "";
      throw new Busy();
    }
    if (match.index) this.listeners.onoutput(match.input.slice(0, match.index));
  }

  async leave(text) {
    this.send(CTRL_B);
    await text.match(/>>> /, ENTER_TIMEOUT);
    this.line = PROMPT;
    this.typed = false;
  }
}

class Timeout extends BoardError {}

// What comes in pieces, to be waited for.
class Reader {
  constructor() {
    this.text = "";
  }

  push(piece) {
    this.text += piece;
    this.news?.();
  }

  fail(error) {
    this.error = error;
    this.news?.();
  }

  rest() {
    const text = this.text;
    this.text = "";
    return text;
  }

  // Wait for more; throw Timeout if nothing comes.
  async more(timeout) {
    if (this.error) throw this.error;
    let timer;
    const came = await new Promise((resolve) => {
      this.news = () => resolve(true);
      if (timeout) timer = setTimeout(() => resolve(false), timeout);
    });
    clearTimeout(timer);
    this.news = null;
    if (this.error) throw this.error;
    if (!came) throw new Timeout("The board does not answer.");
  }

  // Take all up to the end of what matches.
  async match(pattern, timeout) {
    for (;;) {
      const match = pattern.exec(this.text);
      if (match) {
        this.text = this.text.slice(match.index + match[0].length);
        return match;
      }
      await this.more(timeout);
    }
  }

  // Pass on all up to the mark, and take that.
  async pass(mark, sink) {
    for (;;) {
      const end = this.text.indexOf(mark);
      const piece = end < 0 ? this.text : this.text.slice(0, end);
      if (piece) sink(piece);
      this.text = end < 0 ? "" : this.text.slice(end + 1);
      if (end >= 0) return;
      await this.more(0);
    }
  }
}

// Return what a traceback ends with, which says it all.
const lastLine = (error) => error.trim().split("\n").at(-1).trim();
