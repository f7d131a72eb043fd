// The connection as a person sees it: it is made anew when the board restarts, and how it goes is said in words.

import { Connection } from "./connection.js";

// How long after each end to try again, in s, and then not any more.
const PAUSES = [1, 1, 1, 2, 2, 3, 3, 5, 5, 5, 10, 10, 10];
const SOFT_RESET = "MPY: soft reboot";
const RESTARTS = "The board restarts.";
// How long a board that has restarted may leave the old connection open, in ms.
const RESET_TIMEOUT = 1500;

export class Session {
  // Listeners: onstate({ phase, text, denied }), ononline(), onoffline(reason), ontext(string), onbinary(bytes).
  // The phase is "off", "connecting", "online" or "again", the last if it is tried again by itself.
  constructor(host, listeners) {
    this.host = host;
    this.listeners = listeners;
    this.connection = null;
    this.password = null;
    this.known = false;
    this.tries = 0;
    this.tail = "";
    this.phase = "off";
    this.state = { phase: "off", text: "Not connected", denied: false };
  }

  get online() {
    return Boolean(this.connection?.online);
  }

  setState(phase, text, denied = false) {
    this.phase = phase;
    this.state = { phase, text, denied };
    this.listeners.onstate(this.state);
  }

  // Connect, with another password if there is one to try.
  connect(password = this.password) {
    this.drop("");
    if (password !== this.password) this.known = false;
    this.password = password;
    this.tries = 0;
    this.open(`Connecting to ${this.host} …`);
  }

  disconnect() {
    this.drop("You disconnected.");
    this.setState("off", "Disconnected");
  }

  // End the connection and make another one: the only way out of a transfer.
  restart(reason) {
    this.drop(reason);
    this.tries = 0;
    this.again(reason, 0.3);
  }

  drop(reason) {
    clearTimeout(this.timer);
    clearTimeout(this.resetTimer);
    const wasOnline = this.online;
    this.connection?.leave();
    this.connection = null;
    if (wasOnline) this.listeners.onoffline(reason);
  }

  open(text) {
    this.setState(this.tries ? "again" : "connecting", text);
    this.tail = "";
    this.resetting = false;
    this.connection = new Connection(`ws://${this.host}/`, this.password, {
      ononline: () => {
        this.known = true;
        this.tries = 0;
        this.setState("online", `Connected to ${this.host}`);
        this.listeners.ononline();
      },
      ontext: (text) => this.text(text),
      onbinary: (bytes) => this.listeners.onbinary(bytes),
      onend: (end) => this.ended(end),
    });
  }

  text(text) {
    this.tail = (this.tail + text).slice(-80);
    if (text.trim()) {
      clearTimeout(this.resetTimer);
      this.resetting = false;
    }
    this.listeners.ontext(text);
    if (this.tail.trimEnd().endsWith(SOFT_RESET)) this.expectReset();
  }

  // The board restarts: it says so, or was told to, for not every board can say it. Not every board closes its sockets.
  expectReset() {
    this.resetting = true;
    clearTimeout(this.resetTimer);
    this.resetTimer = setTimeout(() => this.restart(RESTARTS), RESET_TIMEOUT);
  }

  ended({ denied, online, code, reason }) {
    clearTimeout(this.resetTimer);
    const text = this.reasonText({ denied, online, code, reason });
    this.connection = null;
    if (online) this.listeners.onoffline(text);
    if (denied) this.known = false;
    if (this.known) this.again(text, pauseAsked(reason));
    else this.setState("off", text, denied);
  }

  again(text, pause) {
    const seconds = pause ?? PAUSES[this.tries];
    if (seconds === undefined) {
      this.setState("off", text);
      return;
    }
    this.tries++;
    this.setState("again", `${text} Connecting again …`);
    this.timer = setTimeout(() => this.open(`${text} Connecting again …`), seconds * 1000);
  }

  reasonText({ denied, online, code, reason }) {
    if (denied) return "Wrong password.";
    if (this.resetting) return RESTARTS;
    if (reason) return `The board says: ${reason}.`;
    if (code === 1007) return "The board sent what is no text.";
    if (!online) return `No answer from ${this.host}.`;
    return code === 1006 ? "The connection broke." : "The board closed the connection.";
  }
}

// Return the pause that the board asks for in its reason ("wait 4 s"), in s.
function pauseAsked(reason) {
  const match = /wait (\d+) s/.exec(reason);
  return match ? Number(match[1]) + 0.5 : undefined;
}
