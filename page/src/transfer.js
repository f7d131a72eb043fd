// Files over the binary frames of the protocol, which the firmware's C module _webrepl serves whether a program runs or
// not. A request has 82 bytes: "WA", the operation, flags, offset (8), size (4), length of the name (2), the name (64).

const PUT = 1;
const GET = 2;
const VERSION = 3;
const REQUEST_SIZE = 82;
const NAME_AT = 18;
// The longest name, in bytes: the last of the 64 is a zero.
export const NAME_MAX = 63;
// What the board reads of a file for each acknowledgement, and how many may be on their way. It answers all that are
// there before a program goes on.
const BLOCK = 256;
const WINDOW = 8;
// What goes into a frame of a PUT. The C module reads blocks of 512 bytes and wants them whole.
const PIECE = 1024;
// How long the board may say nothing in a GET, and in a PUT, of which it says nothing until the end, in ms. An ESP8266
// writes 25 KB/s.
const ANSWER = 10_000;
const WRITTEN = 60_000;

export const bytesOf = (text) => new TextEncoder().encode(text);

export class TransferError extends Error {}

export class Transfer {
  // What send() and room() do is said in connection.js.
  constructor(send, room) {
    this.send = send;
    this.room = room;
    this.patience = 0;
    this.reset("");
    this.queue = Promise.resolve();
  }

  // Forget the connection that was, and end what was under way.
  reset(reason) {
    this.error = reason ? new TransferError(reason) : null;
    this.news?.();
    this.bytes = new Uint8Array();
    this.dirty = false;
  }

  online() {
    this.error = null;
    this.bytes = new Uint8Array();
    this.dirty = false;
  }

  receive(bytes) {
    const all = new Uint8Array(this.bytes.length + bytes.length);
    all.set(this.bytes);
    all.set(bytes, this.bytes.length);
    this.bytes = all;
    this.news?.();
  }

  async take(count) {
    while (this.bytes.length < count) {
      if (this.error) throw this.error;
      await new Promise((resolve) => {
        this.news = resolve;
      });
    }
    const taken = this.bytes.slice(0, count);
    this.bytes = this.bytes.slice(count);
    return taken;
  }

  async status() {
    const [w, b, low, high] = await this.take(4);
    if (w !== 0x57 || b !== 0x42) throw new TransferError("The board answered what is no answer.");
    if (low || high) throw new TransferError(`The board answered ${low + 256 * high}.`);
  }

  // Wait until the file is open: if it cannot be, the C module ends the connection.
  async opened() {
    try {
      await this.status();
    } catch (error) {
      throw error === this.error ? new TransferError("The board could not open the file.") : error;
    }
  }

  request(operation, name, size) {
    const request = new DataView(new ArrayBuffer(REQUEST_SIZE));
    const encoded = bytesOf(name);
    request.setUint8(0, 0x57);
    request.setUint8(1, 0x41);
    request.setUint8(2, operation);
    request.setUint32(12, size, true);
    request.setUint16(16, encoded.length, true);
    new Uint8Array(request.buffer).set(encoded, NAME_AT);
    this.send(request.buffer);
  }

  // Have one transfer after the other. Meanwhile, patience is for how long the board may say nothing, in ms.
  exclusive(patience, use) {
    const result = this.queue.then(async () => {
      if (this.error) throw this.error;
      this.patience = patience;
      try {
        return await use();
      } finally {
        this.patience = 0;
      }
    });
    this.queue = result.catch(() => {});
    return result;
  }

  // Read a file; size is what the list says, or -1 if it is not known. Resolves with its blocks. Afterwards dirty is
  // true if the file has shrunk, for then the board has acknowledgements left and takes them for a request.
  get(name, size, onprogress) {
    return this.exclusive(ANSWER, async () => {
      this.request(GET, name, 0);
      await this.opened();
      const expected = size < 0 ? 0 : Math.ceil(size / BLOCK) + 1;
      const blocks = [];
      let received = 0;
      for (let asked = 0, answered = 0; ; answered++) {
        while (asked === answered || (asked < expected && asked - answered < WINDOW)) {
          this.send(new Uint8Array(1));
          asked++;
        }
        const [low, high] = await this.take(2);
        const length = low + 256 * high;
        if (!length) {
          this.dirty = asked > answered + 1;
          break;
        }
        blocks.push(await this.take(length));
        received += length;
        onprogress(received);
      }
      await this.status();
      return blocks;
    });
  }

  // Write a file.
  put(name, bytes, onprogress) {
    return this.exclusive(WRITTEN, async () => {
      this.request(PUT, name, bytes.length);
      await this.opened();
      for (let at = 0; at < bytes.length; at += PIECE) {
        if (this.error) throw this.error;
        this.send(bytes.subarray(at, at + PIECE));
        await this.room();
        onprogress(Math.min(at + PIECE, bytes.length));
      }
      await this.status();
    });
  }

  // Ask for what every board answers at once unless it is computing.
  ping() {
    return this.exclusive(ANSWER, () => {
      this.request(VERSION, "", 0);
      return this.take(3);
    });
  }
}
