// Strings as Python writes them, to and from the board.

const ESCAPES = { n: "\n", r: "\r", t: "\t", "\\": "\\", "'": "'", '"': '"' };

// Return the string as a Python literal in ASCII.
export function toLiteral(text) {
  const escaped = [...text].map((c) => {
    const code = c.codePointAt(0);
    if (c === "\\" || c === "'") return `\\${c}`;
    if (code >= 32 && code < 127) return c;
    if (code < 256) return `\\x${code.toString(16).padStart(2, "0")}`;
    return code < 65536 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`;
  });
  return `'${escaped.join("")}'`;
}

// Parse the Python literal that repr() gives for a string; throw SyntaxError if it is none.
export function fromLiteral(literal) {
  const quote = literal[0];
  const inner = literal.slice(1, -1);
  const whole = /^(?:[^\\\n]|\\(?:[nrt\\'"]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}))*$/;
  if ((quote !== "'" && quote !== '"') || literal.at(-1) !== quote || literal.length < 2 || !whole.test(inner)) {
    throw new SyntaxError(`no Python string: ${literal}`);
  }
  return inner.replace(/\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|(.))/g, (_, x, u, long, simple) =>
    simple ? ESCAPES[simple] : String.fromCodePoint(Number.parseInt(x ?? u ?? long, 16)),
  );
}
