// Build dist/webrepl_content.js.gz, or the file named: the page's script, compressed, with the loader in its header.
//
// A gzip file may have a comment in its header (RFC 1952 §2.3.1), which whatever inflates it passes over. A board sends
// the file in slices of SLICE bytes; the comment is the first of them, from byte 10 on, and is JavaScript that asks for
// the others. Served by anything else, as gzip or inflated, the file is a script like any other.

import { Buffer } from "node:buffer";
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { deflateAsync } from "@gfx/zopfli";
import { buildSync, transformSync } from "esbuild";
import { crc32 } from "./src/files.js";

// As in webrepl.py.
const SLICE = 990;
const HEADER = 10;
// What it may take of a board's flash.
const MAX = 100 * 1024;

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const read = (path) => readFileSync(here(path), "utf8");

// The licence wants its text in all copies.
const licence = read("../LICENSE");
const notice = read("src/licences.txt") + licence.slice(licence.indexOf("\nPermission"));
const script = buildSync({
  absWorkingDir: here("."),
  entryPoints: ["src/main.js"],
  banner: { js: `/*\n${notice}*/` },
  bundle: true,
  format: "iife",
  legalComments: "none",
  loader: { ".css": "text" },
  minify: true,
  target: "es2022",
  write: false,
}).outputFiles[0].contents;

// Zopfli gives the same bytes everywhere, which zlib does not: Node.js has one of its own, and Debian another.
const body = await deflateAsync(script, { numiterations: 15 });

const start = HEADER + SLICE + 1;
const size = start + body.length + 8;
const loader = transformSync(read("src/loader.js"), {
  define: { SIZE: String(size), START: String(start), SLICE: String(SLICE) },
  format: "iife",
  minify: true,
  target: "es2022",
}).code.trim();
if (loader.length > SLICE) throw new Error(`the loader has ${loader.length} bytes, more than a slice`);
if (size > MAX) throw new Error(`webrepl_content.js.gz has ${size} bytes, more than ${MAX}`);

// Deflate; there is a comment; no time of change; the slowest algorithm; no operating system.
const header = Buffer.from([0x1f, 0x8b, 8, 0x10, 0, 0, 0, 0, 2, 255]);
const trailer = Buffer.alloc(8);
trailer.writeUInt32LE(crc32(script), 0);
trailer.writeUInt32LE(script.length, 4);
writeFileSync(
  process.argv[2] ?? here("dist/webrepl_content.js.gz"),
  Buffer.concat([header, Buffer.from(`${loader.padEnd(SLICE)}\0`, "latin1"), body, trailer]),
);
