// One WebSocket to the board, from the password prompt to its end. It never comes back: session.js makes another one.

const PASSWORD_PROMPT = "Password: ";
const CONNECTED = "\r\nWebREPL connected\r\n";
const DENIED = "\r\nAccess denied\r\n";
// What one frame carries at most, and what may wait in the browser before more is given to it, in bytes.
const FRAME = 1024;
const BACKLOG = 8 * FRAME;

export class Connection {
  // Listeners: ononline(), ontext(string), onbinary(Uint8Array), onend({ denied, online, code, reason }).
  constructor(url, password, listeners) {
    this.listeners = listeners;
    this.online = false;
    this.denied = false;
    // What came before the login.
    this.greeting = "";
    this.outbox = Promise.resolve();
    this.generation = 0;
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = ({ data }) => {
      this.heard = Date.now();
      if (typeof data !== "string") listeners.onbinary(new Uint8Array(data));
      else if (this.online) listeners.ontext(data);
      else this.login(data, password);
    };
    this.socket.onclose = ({ code, reason }) => {
      const { denied, online } = this;
      this.online = false;
      if (!this.left) listeners.onend({ denied, online, code, reason });
    };
  }

  login(text, password) {
    const before = this.greeting;
    this.greeting += text;
    if (!before.includes(PASSWORD_PROMPT) && this.greeting.includes(PASSWORD_PROMPT)) {
      this.socket.send(`${password}\r`);
    }
    if (this.greeting.includes(DENIED)) this.denied = true;
    const at = this.greeting.indexOf(CONNECTED);
    if (at >= 0) {
      this.online = true;
      this.listeners.ononline();
      this.listeners.ontext(this.greeting.slice(at + CONNECTED.length));
    }
  }

  // Send text of any length, in frames, as the browser gets rid of it; resolves when it has the last one.
  sendText(text) {
    // A unit of UTF-16 takes at most 3 bytes; two that are one character are not to be parted.
    return this.sendAll(text.match(/.{1,300}(?![\udc00-\udfff])/gs) ?? []);
  }

  // Send a key at once, past all that still waits: it is what stops that.
  interrupt(key) {
    this.generation++;
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(key);
  }

  sendAll(pieces) {
    const generation = this.generation;
    this.outbox = this.outbox.then(async () => {
      for (const piece of pieces) {
        await this.room();
        if (generation !== this.generation || this.socket.readyState !== WebSocket.OPEN) return;
        this.socket.send(piece);
      }
    });
    return this.outbox;
  }

  sendBinary(bytes) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(bytes);
  }

  // Wait until the browser has little left to send.
  async room() {
    while (this.socket.bufferedAmount > BACKLOG && this.socket.readyState === WebSocket.OPEN) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  // Leave without a word to the listeners.
  leave() {
    this.left = true;
    this.online = false;
    this.socket.close();
  }
}
