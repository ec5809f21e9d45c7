import { isUtf8 } from "node:buffer";

/** Where bytes stop being UTF-8: how many of them, from the start, can be decoded. Only asked for what is not
 *  UTF-8. */
export function notUtf8At(bytes: Buffer): number {
  let good = 0;
  let bad = bytes.length;
  while (good + 1 < bad) {
    const middle = (good + bad) >> 1;
    if (decodable(bytes, middle)) good = middle;
    else bad = middle;
  }
  while (good > 0 && !isUtf8(bytes.subarray(0, good))) good--;
  return good;
}

/** Whether the first `length` bytes are UTF-8, but for a character cut off at their end. */
function decodable(bytes: Buffer, length: number): boolean {
  for (let cut = 0; cut <= 3 && cut <= length; cut++) {
    if (isUtf8(bytes.subarray(0, length - cut))) return true;
  }
  return false;
}

const BLANK = /[ \t\n\r]*/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/** Where a text stops being JSON. The engine's own message names the place only sometimes; this is asked
 *  after it refused. */
export function malformedAt(text: string): number {
  const open: string[] = [];
  let expected: "value" | "value or end" | "key" | "key or end" | "colon" | "comma or end" = "value";
  let index = 0;
  for (;;) {
    index = match(BLANK, text, index);
    const found = text[index];
    if (expected === "colon") {
      if (found !== ":") return index;
      index++;
      expected = "value";
    } else if (expected === "key" || (expected === "key or end" && found !== "}")) {
      const end = endOfString(text, index);
      if (end < 0) return -end - 1;
      index = end;
      expected = "colon";
    } else if (expected === "comma or end" && found === "," && open.length > 0) {
      index++;
      expected = open.at(-1) === "}" ? "key" : "value";
    } else if (expected !== "value" && (found === "]" || found === "}")) {
      if (open.pop() !== found) return index;
      index++;
      expected = "comma or end";
    } else if (expected === "comma or end") {
      return index;
    } else if (found === "{" || found === "[") {
      open.push(found === "{" ? "}" : "]");
      index++;
      expected = found === "{" ? "key or end" : "value or end";
    } else {
      const end = found === '"' ? endOfString(text, index) : match(SCALAR, text, index);
      if (end < 0) return -end - 1;
      if (end === index) return index;
      index = end;
      expected = "comma or end";
    }
  }
}

/** The index after what matches at `index`; `index` itself when nothing does. */
function match(pattern: RegExp, text: string, index: number): number {
  pattern.lastIndex = index;
  return pattern.test(text) ? pattern.lastIndex : index;
}

/** The index after the string that opens at `start`, or −(index + 1) of what does not belong into one. */
function endOfString(text: string, start: number): number {
  if (text[start] !== '"') return -start - 1;
  for (let index = start + 1; index < text.length; ) {
    const code = text.charCodeAt(index);
    if (code === 0x22) return index + 1;
    if (code < 0x20) return -index - 1;
    const next = code === 0x5c ? match(ESCAPE, text, index) : index + 1;
    if (next === index) return -index - 1;
    index = next;
  }
  return -text.length - 1;
}
