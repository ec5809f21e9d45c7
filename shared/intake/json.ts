import { Problem } from "../platform/errors.ts";
import { closingQuote, hasEscapedKey, readEscaped } from "../verification/read-json.ts";
import { malformedAt, notUtf8At } from "./malformed.ts";

/** How deep a value may nest; the outermost value is 1. */
const DEPTH_MAX = 64;

const QUOTE = 0x22;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What one pass over the text saw: how many keys were written, and where the numbers stand that need care
 *  (start, end, start …). */
type Scan = { keys: number; numbers: number[] };

/** I-JSON to a value, kept exactly. Malformed: 400 `malformed_json` with the byte offset; JSON that is not
 *  I-JSON: 422 `invalid_body`. */
export function parseJson(bytes: Buffer): unknown {
  const text = decode(bytes);
  // Before the parser: it takes a second over eight million brackets.
  const { keys, numbers } = scan(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw malformed("The body is not JSON.", Buffer.byteLength(text.slice(0, malformedAt(text))));
  }
  if (text.includes("\\")) {
    if (hasEscapedKey(text)) value = readEscaped(text);
    // Decoded UTF-8 is well formed and JSON has no raw control characters: only an escape can bring either
    // in.
    if (text.includes("\\u")) checkEscaped(value);
  }
  // An object keeps the last of equal keys, so a key that was written twice is missing from the value.
  if (keys > 0 && countKeys(value) !== keys)
    throw refused("An object has the same key twice.", "duplicate_key");
  return numbers.length > 0 && checkNumbers(text, numbers) ? withoutNegativeZero(value) : value;
}

function decode(bytes: Buffer): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw malformed("The body is not UTF-8.", notUtf8At(bytes));
  }
}

function malformed(detail: string, offset: number): Problem {
  return new Problem("malformed_json", detail, { offset });
}

function refused(detail: string, code: string): Problem {
  return new Problem("invalid_body", detail, { errors: [{ pointer: "", detail, code }] });
}

/** One pass over the text, which need not be JSON yet; then only the depth that it throws for means
 *  anything. */
function scan(text: string): Scan {
  const numbers: number[] = [];
  let keys = 0;
  let depth = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === QUOTE) {
      index = closingQuote(text, index);
      if (index < 0) break;
    } else if (code === MINUS || (code >= ZERO && code <= NINE)) {
      const end = endOfNumber(text, index);
      if (needsCare(text, index, end)) numbers.push(index, end);
      index = end - 1;
    } else if (code === 0x3a) {
      keys++;
    } else if (code === 0x7b || code === 0x5b) {
      if (depth === DEPTH_MAX) throw refused(`The body nests deeper than ${DEPTH_MAX}.`, "too_deep");
      depth++;
    } else if (code === 0x7d || code === 0x5d) {
      depth--;
    }
  }
  return { keys, numbers };
}

/** Up to 15 significant digits come back from a double as they went in; an exponent could still leave its
 *  range, and −0 is 0. */
function needsCare(text: string, start: number, end: number): boolean {
  return text.charCodeAt(start) === MINUS || end - start > 15 || hasExponent(text, start, end);
}

/** Throws for a number that a double cannot hold; true when one of them is a negative zero. */
function checkNumbers(text: string, numbers: readonly number[]): boolean {
  let negativeZero = false;
  for (let index = 0; index < numbers.length; index += 2) {
    const token = text.slice(numbers[index], numbers[index + 1]);
    if (!isExact(token)) {
      const shown = token.length > 40 ? `${token.slice(0, 40)}…` : token;
      throw refused(`The number ${shown} cannot be kept exactly.`, "inexact_number");
    }
    negativeZero ||= Object.is(Number(token), -0);
  }
  return negativeZero;
}

function endOfNumber(text: string, start: number): number {
  let end = start + 1;
  while (end < text.length) {
    const code = text.charCodeAt(end);
    const numeric =
      (code >= ZERO && code <= NINE) ||
      code === 0x2e ||
      code === 0x65 ||
      code === 0x45 ||
      code === 0x2b ||
      code === MINUS;
    if (!numeric) break;
    end++;
  }
  return end;
}

function hasExponent(text: string, start: number, end: number): boolean {
  for (let index = start; index < end; index++) {
    if ((text.charCodeAt(index) | 0x20) === 0x65) return true;
  }
  return false;
}

/** Whether a JSON number is, as a decimal, what the shortest form of its double says. */
function isExact(token: string): boolean {
  const number = Number(token);
  if (!Number.isFinite(number)) return false;
  const written = decimal(token);
  const kept = decimal(String(number));
  return written.digits === kept.digits && written.exponent === kept.exponent;
}

/** The significant digits, as an integer, and the power of ten they are multiplied by; the sign is left
 *  out. */
function decimal(token: string): { digits: string; exponent: number } {
  const unsigned = token.charCodeAt(0) === MINUS ? token.slice(1) : token;
  const [mantissa = "", power = "0"] = unsigned.toLowerCase().split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  const all = whole + fraction;
  let first = 0;
  while (all.charCodeAt(first) === ZERO) first++;
  let last = all.length;
  while (last > first && all.charCodeAt(last - 1) === ZERO) last--;
  if (first === last) return { digits: "", exponent: 0 };
  return { digits: all.slice(first, last), exponent: Number(power) - fraction.length + (all.length - last) };
}

/** Own keys in a value whose depth is known to be bounded. */
function countKeys(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) {
    for (const item of value) count += countKeys(item);
    return count;
  }
  const members = Object.values(value);
  count = members.length;
  for (const member of members) count += countKeys(member);
  return count;
}

function checkEscaped(value: unknown): void {
  if (typeof value === "string") {
    if (!value.isWellFormed()) throw refused("A string has a lone surrogate.", "lone_surrogate");
  } else if (Array.isArray(value)) {
    for (const item of value) checkEscaped(item);
  } else if (typeof value === "object" && value !== null) {
    for (const [key, member] of Object.entries(value)) {
      if (!key.isWellFormed()) throw refused("A key has a lone surrogate.", "lone_surrogate");
      if (key.includes("\u0000")) throw refused("A key has the character U+0000.", "null_in_key");
      checkEscaped(member);
    }
  }
}

/** The same value, in place, with 0 for −0: no canonical form tells the two apart. */
function withoutNegativeZero(value: unknown): unknown {
  if (value === 0) return 0;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) value[index] = withoutNegativeZero(value[index]);
  } else if (typeof value === "object" && value !== null) {
    for (const [key, member] of Object.entries(value)) {
      // Assigning to `__proto__` would set the prototype where a parsed body has an ordinary key.
      const plain = withoutNegativeZero(member);
      Object.defineProperty(value, key, {
        value: plain,
        writable: true,
        enumerable: true,
        configurable: true,
      });
    }
  }
  return value;
}
