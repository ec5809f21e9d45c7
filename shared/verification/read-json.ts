const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** `JSON.parse`, but exact in every key. V8 (as of Node 24, nodejs/node#63785) may read a key that is written
 *  with an escape  as another one: after `{"a":0,"\\":0}` it reads `{"a":0,"\"":0}` as if that had the first
 *  one's keys. */
export function readJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  return hasEscapedKey(text) ? readEscaped(text) : value;
}

/** Whether a key in a text that is JSON is written with an escape. */
export function hasEscapedKey(text: string): boolean {
  let backslash = text.indexOf("\\");
  let start = backslash < 0 ? -1 : text.indexOf('"');
  while (start >= 0) {
    const end = closingQuote(text, start);
    if (backslash < start) backslash = text.indexOf("\\", start);
    if (backslash < 0) return false;
    if (backslash < end && text.charCodeAt(skipBlank(text, end + 1)) === 0x3a) return true;
    start = text.indexOf('"', end + 1);
  }
  return false;
}

/** The index of the quote that closes the string opened at `start`; −1 when none does. */
export function closingQuote(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    if (end < 0) return -1;
    let first = end;
    while (text.charCodeAt(first - 1) === BACKSLASH) first--;
    if ((end - first) % 2 === 0) return end;
  }
}

function skipBlank(text: string, from: number): number {
  let index = from;
  while (text.charCodeAt(index) <= 0x20) index++;
  return index;
}

/** Reads a text that is known to be JSON without letting the engine read a key. The depth must be bounded by
 *  the caller. */
export function readEscaped(text: string): unknown {
  return read({ text, index: 0 });
}

type Reader = { readonly text: string; index: number };

function read(reader: Reader): unknown {
  const { text } = reader;
  reader.index = skipBlank(text, reader.index);
  switch (text.charCodeAt(reader.index)) {
    case 0x7b:
      return readObject(reader);
    case 0x5b:
      return readArray(reader);
    case QUOTE:
      return readString(reader);
    default: {
      const start = reader.index;
      while (reader.index < text.length && !",]} \t\n\r".includes(text.charAt(reader.index))) reader.index++;
      return JSON.parse(text.slice(start, reader.index));
    }
  }
}

function readString(reader: Reader): string {
  const end = closingQuote(reader.text, reader.index) + 1;
  const value: string = JSON.parse(reader.text.slice(reader.index, end));
  reader.index = end;
  return value;
}

/** Moves past the next character that is not blank, and says which it was. */
function next(reader: Reader): string {
  reader.index = skipBlank(reader.text, reader.index);
  return reader.text.charAt(reader.index++);
}

/** Whether the array or object that opens here has nothing in it; moves inside, or past its end. */
function isEmpty(reader: Reader, close: string): boolean {
  reader.index = skipBlank(reader.text, reader.index + 1);
  if (reader.text.charAt(reader.index) !== close) return false;
  reader.index++;
  return true;
}

function readArray(reader: Reader): unknown[] {
  const items: unknown[] = [];
  if (isEmpty(reader, "]")) return items;
  do items.push(read(reader));
  while (next(reader) === ",");
  return items;
}

function readObject(reader: Reader): unknown {
  const members: [string, unknown][] = [];
  if (isEmpty(reader, "}")) return {};
  do {
    reader.index = skipBlank(reader.text, reader.index);
    const key = readString(reader);
    next(reader);
    members.push([key, read(reader)]);
  } while (next(reader) === ",");
  // Unlike an assignment, this keeps a `__proto__` key as an ordinary one.
  return Object.fromEntries(members);
}
