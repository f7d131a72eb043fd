// Gets the rest of the file it stands in: a board sends what its send buffer takes. Built into the gzip header's comment,
// where SIZE and START are numbers: of all the file's bytes, and of those before the compressed ones.

const url = `${document.currentScript.src}?`;
const page = document.documentElement;
const data = new Uint8Array(SIZE - START + 10);
let next = START;
let missing = SIZE - next;
let failures = 0;

// The header without the comment, which is not needed.
data.set([31, 139, 8]);

function fail(error) {
  page.textContent = `webrepl_content.js.gz does not arrive, or is damaged: ${error}`;
}

async function run() {
  const script = document.createElement("script");
  script.text = await new Response(new Blob([data]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  page.append(script);
}

// Get the bytes from one place to another, but not more than come at once if it is the first time. Return their number.
async function get(at, end, first) {
  const start = at;
  while (at < end) {
    try {
      const answer = await fetch(url + at, { cache: "no-store", signal: AbortSignal.timeout(4000) });
      const bytes = new Uint8Array(await answer.arrayBuffer()).subarray(0, end - at);
      if (!answer.ok || !bytes.length) throw url;
      data.set(bytes, at - START + 10);
      at += bytes.length;
      missing -= bytes.length;
      if (document.body) document.body.textContent = `Loading, ${missing} bytes to go`;
      if (first) break;
    } catch (error) {
      if (failures++ > 9) throw error;
    }
  }
  return at - start;
}

async function work(step) {
  while (next < SIZE) {
    const at = next;
    next += step;
    await get(at, Math.min(next, SIZE));
  }
}

async function load() {
  const step = await get(next, SIZE, true);
  next += step;
  // webrepl.py has time for the last two requests that are not complete.
  await Promise.all([work(step), work(step)]);
  await run();
}

load().catch(fail);
