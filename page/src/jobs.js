// Files on their way: one after the other over the connection, each with how far it is, and a way to cancel it.

import { errorText, join, parent } from "./files.js";
import { Busy } from "./repl.js";
import { bytesOf, NAME_MAX } from "./transfer.js";

// How often a file that has not arrived whole is sent.
const TRIES = 2;

class Cancelled extends Error {}

// Return why the board cannot have a file of this path, or "".
export function pathProblem(path) {
  const length = bytesOf(path).length;
  if (length > NAME_MAX) return `The path ${path} has ${length} bytes; the board takes at most ${NAME_MAX}.`;
  return /[\0-\x1f\x7f]/.test(path) ? "The name has a control character in it." : "";
}

// Where a file goes until it is whole: NAME.tmp, or a short name beside it if that would be too long.
const temporary = (path) => (bytesOf(`${path}.tmp`).length <= NAME_MAX ? `${path}.tmp` : join(parent(path), "~tmp"));

export class Jobs {
  // What each needs: session, transfer, files, and idle(), online(): promises of an idle prompt and a connection.
  // Listeners: onchange(job), onfiles() when the board's files have changed.
  constructor(board, listeners) {
    this.board = board;
    this.listeners = listeners;
    this.queue = Promise.resolve();
  }

  // Send bytes to the path; resolves with true once the file has its name, with false if it never will.
  upload(path, blob) {
    const job = this.job("Sending", path, blob.size);
    return this.follow(job, async () => {
      const problem = pathProblem(path);
      if (problem) throw new Error(problem);
      const bytes = new Uint8Array(await blob.arrayBuffer());
      const temp = temporary(path);
      job.clean = () => this.clean(temp);
      for (let attempt = 1; ; attempt++) {
        await this.move(job, (progress) => this.board.transfer.put(temp, bytes, progress));
        job.clean = null;
        const whole = await this.atPrompt(job, "Checking", () => this.board.files.check(temp, bytes), temp);
        if (whole) break;
        if (attempt === TRIES) {
          this.clean(temp);
          throw new Error("It did not arrive whole. Is the flash full?");
        }
      }
      await this.atPrompt(job, "Naming", () => this.board.files.rename(temp, path), temp);
      this.listeners.onfiles();
    });
  }

  // Fetch a file; resolves with a Blob, or with null if it did not work out.
  async download(path, size) {
    const job = this.job("Getting", path, size);
    let blob = null;
    await this.follow(job, async () => {
      const { transfer, session } = this.board;
      const blocks = await this.move(job, (progress) => transfer.get(path, size, progress));
      blob = new Blob(blocks);
      if (transfer.dirty) session.restart("The file has changed meanwhile.");
    });
    return blob;
  }

  job(verb, path, total) {
    const job = { verb, path, total, done: 0, state: "waiting", text: "Waiting", clean: null };
    job.cancel = () => this.cancel(job);
    this.listeners.onchange(job);
    return job;
  }

  set(job, state, text) {
    job.state = state;
    job.text = text;
    this.listeners.onchange(job);
  }

  async follow(job, use) {
    try {
      await use();
      this.set(job, "done", "Done");
      return true;
    } catch (error) {
      if (error instanceof Cancelled || job.cancelled) this.set(job, "cancelled", "Cancelled");
      else this.set(job, "failed", errorText(error));
      return false;
    }
  }

  // Have the connection for a transfer, when those before have had it.
  move(job, use) {
    const result = this.queue.then(async () => {
      await this.until(job, this.board.online());
      job.started = performance.now();
      job.done = 0;
      this.set(job, "moving", "");
      return use((done) => {
        job.done = done;
        this.listeners.onchange(job);
      });
    });
    this.queue = result.catch(() => {});
    return result;
  }

  // Do something at the idle prompt, when there is one.
  async atPrompt(job, text, use, temp) {
    for (;;) {
      this.set(job, "prompt", "");
      job.clean = () => this.clean(temp);
      await this.until(job, this.board.idle());
      job.clean = null;
      this.set(job, "checking", `${text} …`);
      try {
        return await use();
      } catch (error) {
        if (!(error instanceof Busy)) throw error;
      }
    }
  }

  // Wait, but not for longer than the job is wanted.
  async until(job, promise) {
    if (job.cancelled) throw new Cancelled();
    await Promise.race([
      promise,
      new Promise((_, reject) => {
        job.giveUp = () => reject(new Cancelled());
      }),
    ]);
    job.giveUp = null;
  }

  cancel(job) {
    job.cancelled = true;
    const { clean } = job;
    if (job.state === "waiting") this.set(job, "cancelled", "Cancelled");
    if (job.state === "moving") this.board.session.restart("Cancelled.");
    job.giveUp?.();
    clean?.();
  }

  // Remove what came of a file, once that can be done.
  async clean(temp) {
    await this.board.idle();
    await this.board.files.remove({ path: temp, isFolder: false }).catch(() => {});
    this.listeners.onfiles();
  }
}
