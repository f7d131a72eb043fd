// The jobs as a person sees them: a bar, the speed and the time left for each, and a button to cancel.

import { h, sizeText } from "./dom.js";
import { basename } from "./files.js";

// How long one that has gone well is shown, in ms.
const SHOWN = 6000;
const ENDED = new Set(["done", "failed", "cancelled"]);

const timeText = (seconds) => (seconds < 100 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`);

export class Progress {
  // Listeners: onwaiting(): whether a program runs while a job waits for the prompt, and onstop().
  constructor(board) {
    this.board = board;
    this.rows = new Map();
    this.element = h("ul", { className: "jobs", "aria-label": "Transfers" });
    // Said aloud once for each, not for every percent.
    this.voice = h("div", { className: "hidden", role: "status" });
  }

  change(job) {
    let row = this.rows.get(job);
    if (!row) {
      row = this.row(job);
      this.rows.set(job, row);
      this.element.append(row.element);
    }
    row.bar.hidden = job.state !== "moving" && job.state !== "checking";
    row.bar.max = Math.max(job.total, 1);
    if (job.state === "checking" || (job.state === "moving" && job.done >= job.total)) row.bar.removeAttribute("value");
    else row.bar.value = job.done;
    row.text.textContent = this.text(job);
    row.element.className = job.state;
    if (ENDED.has(job.state)) this.ended(job, row);
  }

  row(job) {
    const name = basename(job.path);
    const bar = h("progress", { "aria-label": `${job.verb} ${name}` });
    const text = h("span", { className: "text" });
    const button = h("button", {
      type: "button",
      textContent: "Cancel",
      "aria-label": `Cancel ${name}`,
      onclick: () => job.cancel(),
    });
    const title = h("span", { className: "title", textContent: `${job.verb} ${name}` });
    return { bar, text, button, name, element: h("li", {}, h("div", {}, title, button), bar, text) };
  }

  text(job) {
    if (job.state === "prompt") {
      return this.board.repl.state === "program" || this.board.repl.state === "off"
        ? "Sent. Waits for the prompt, to be checked and named: a program is running."
        : "Sent. Waits for the prompt, to be checked and named.";
    }
    if (job.state !== "moving") return job.text;
    const seconds = (performance.now() - job.started) / 1000;
    const speed = job.done / Math.max(seconds, 0.001);
    const parts = [job.total >= 0 ? `${sizeText(job.done)} of ${sizeText(job.total)}` : sizeText(job.done)];
    if (job.done >= job.total) parts.push("waiting for the board");
    else if (seconds > 0.5) {
      parts.push(`${sizeText(Math.round(speed))}/s`, `${timeText((job.total - job.done) / speed)} left`);
    }
    return parts.join(" · ");
  }

  ended(job, row) {
    if (job.state === "done") {
      const seconds = (performance.now() - job.started) / 1000;
      row.text.textContent = `Done: ${sizeText(job.total)} in ${seconds < 10 ? `${seconds.toFixed(1)} s` : timeText(seconds)}`;
    }
    this.voice.textContent = `${job.verb} ${row.name}: ${row.text.textContent}`;
    const remove = () => {
      row.element.remove();
      this.rows.delete(job);
    };
    row.button.textContent = "✕";
    row.button.setAttribute("aria-label", `Dismiss ${row.name}`);
    row.button.onclick = remove;
    if (job.state !== "failed") setTimeout(remove, SHOWN);
  }

  // Show anew what depends on the prompt.
  stateChanged() {
    for (const [job] of this.rows) if (job.state === "prompt") this.change(job);
  }
}
