// The files of the board, by code for the raw REPL that the smallest boards run: short, and with compact answers.

import { fromLiteral, toLiteral } from "./literal.js";

const FOLDER = 0x4000;

// Tell what an OSError's number means: those that a person can do something about.
const ERRORS = {
  2: "There is no such file.",
  13: "This is not allowed there.",
  17: "There is something of this name already.",
  20: "This is no folder.",
  21: "This is a folder.",
  22: "This name is not allowed there.",
  28: "The board's flash is full.",
  30: "This cannot be written to.",
  39: "The folder is not empty.",
  66: "The folder is not empty.",
};

// Put what a board raised into words.
export function errorText(error) {
  const match = /^OSError: (?:\[Errno )?(\d+)/.exec(error.message);
  if (match && ERRORS[match[1]]) return ERRORS[match[1]];
  if (/ENOTEMPTY|EACCES/.test(error.message)) return "The folder is not empty, or this is not allowed there.";
  return error.message;
}

export const join = (folder, name) => (folder.endsWith("/") ? folder + name : `${folder}/${name}`);
export const basename = (path) => path.slice(path.lastIndexOf("/") + 1);
export const parent = (path) => path.slice(0, path.lastIndexOf("/")) || "/";

// How the check of a file goes on over the next bytes: CRC-32 as in zlib and RFC 1952 §8.
export function crc32(bytes) {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

export class Files {
  constructor(repl) {
    this.repl = repl;
  }

  // List a folder, or the current one. Resolves with { folder, free, entries: [{ name, isFolder, size }] }.
  async list(folder) {
    const output = await this.repl.exec(
      `import os\nd=${folder === undefined ? "os.getcwd()" : toLiteral(folder)}\n` +
        "try:\n s=os.statvfs(d);print(s[1]*s[4])\nexcept Exception:print(-1)\nprint(repr(d))\n" +
        "for e in os.ilistdir(d):\n try:print(e[1],e[3]if len(e)>3 else os.stat(d+'/'+e[0])[6],repr(e[0]))\n" +
        " except OSError:print(e[1],-1,repr(e[0]))\n",
    );
    const [free, path, ...lines] = output.trimEnd().split("\n");
    const entries = lines.map((line) => {
      const match = /^(\d+) (-?\d+) (.*)$/.exec(line);
      if (!match) throw new SyntaxError(`no entry: ${line}`);
      const isFolder = (Number(match[1]) & 0xf000) === FOLDER;
      return { name: fromLiteral(match[3]), isFolder, size: isFolder ? -1 : Number(match[2]) };
    });
    entries.sort((a, b) => b.isFolder - a.isFolder || (a.name < b.name ? -1 : 1));
    return { folder: fromLiteral(path), free: Number(free), entries };
  }

  // Check a file that was written; resolves with true if it has the bytes. A board without crc32 checks the size.
  async check(path, bytes) {
    const output = await this.repl.exec(
      `import os,binascii\np=${toLiteral(path)}\nc=0\nwith open(p,'rb')as f:\n while 1:\n  b=f.read(512)\n` +
        "  if not b:break\n  try:c=binascii.crc32(b,c)\n  except AttributeError:\n   c=-1;break\n" +
        "print(os.stat(p)[6],c)\n",
    );
    const [size, crc] = output.split(" ").map(Number);
    return size === bytes.length && (crc === -1 || crc === crc32(bytes));
  }

  // Rename a file or folder in its folder, in place of another file if there is one. Not by paths: up to 1.25 the unix
  // port takes the second for the first (extmod/vfs_posix.c, vfs_posix_get_path_str).
  rename(path, to) {
    const [folder, from, name] = [parent(path), basename(path), basename(to)].map(toLiteral);
    return this.repl.exec(
      `import os\nc=os.getcwd()\nos.chdir(${folder})\ntry:os.rename(${from},${name})\nfinally:os.chdir(c)\n`,
    );
  }

  remove({ path, isFolder }) {
    return this.repl.exec(`import os\nos.${isFolder ? "rmdir" : "remove"}(${toLiteral(path)})\n`);
  }

  makeFolder(path) {
    return this.repl.exec(`import os\nos.mkdir(${toLiteral(path)})\n`);
  }
}
