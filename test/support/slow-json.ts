/** What a patient reader makes of a text: its JSON with 0 for −0, or every reason why it is not I-JSON. */
export type SlowAnswer = { ok: boolean; json: string; codes: string[] };

/** Reads JSON character by character, as RFC 8259's grammar says, and judges each rule of RFC 7493 where it
 *  applies. */
export function slowJson(text: string): SlowAnswer {
  const codes: string[] = [];
  let index = 0;
  const fail = (): never => {
    throw new SyntaxError(`at ${index}`);
  };
  const blank = () => {
    while (index < text.length && " \t\n\r".includes(text.charAt(index))) index++;
  };
  const take = (token: string): number => {
    if (!text.startsWith(token, index)) fail();
    index += token.length;
    return index;
  };
  const string = (): string => {
    const found =
      /^"(?:[^"\\\p{Cc}]|[\u007f-\u009f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/u.exec(text.slice(index)) ??
      fail();
    index += found[0].length;
    const value: string = JSON.parse(found[0]);
    if (!value.isWellFormed()) codes.push("lone_surrogate");
    return value;
  };
  const number = (): string => {
    const found = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/.exec(text.slice(index)) ?? fail();
    index += found[0].length;
    const kept = String(Number(found[0]));
    if (kept.includes("Infinity") || !equalDecimals(found[0], kept)) codes.push("inexact_number");
    return kept;
  };
  const list = (close: string, item: () => string): string[] => {
    index++;
    const items: string[] = [];
    for (blank(); items.length > 0 || text[index] !== close; blank()) {
      if (items.length > 0 && text[index] === close) break;
      if (items.length > 0) take(",");
      items.push(item());
    }
    index++;
    return items;
  };
  const value = (depth: number): string => {
    blank();
    const first = text[index];
    if ((first === "[" || first === "{") && depth > 64) codes.push("too_deep");
    if (first === '"') return JSON.stringify(string());
    if (first === "[") return `[${list("]", () => value(depth + 1))}]`;
    if (first === "{") {
      const keys = new Set<string>();
      const members = list("}", () => {
        blank();
        const key = string();
        if (keys.has(key)) codes.push("duplicate_key");
        if (key.includes("\u0000")) codes.push("null_in_key");
        keys.add(key);
        blank();
        take(":");
        return `${JSON.stringify(key)}:${value(depth + 1)}`;
      });
      return `{${members}}`;
    }
    for (const word of ["true", "false", "null"])
      if (text.startsWith(word, index)) return text.slice(index, take(word));
    return number();
  };
  try {
    const json = value(1);
    blank();
    if (index < text.length) fail();
    return { ok: codes.length === 0, json, codes };
  } catch {
    return { ok: false, json: "", codes: ["malformed"] };
  }
}

/** Whether two decimals are the same number, by writing both out in full as integers over the same power of
 *  ten. */
function equalDecimals(one: string, other: string): boolean {
  const parts = [one, other].map((text) => {
    const [mantissa = "", power = "0"] = text
      .replace("-", "")
      .toLowerCase()
      .split(/e(?=.)/);
    const [whole = "", fraction = ""] = mantissa.split(".");
    return {
      digits: BigInt(whole + fraction),
      power: Number(text.includes("e-") ? -Number(power.replace("-", "")) : power) - fraction.length,
    };
  });
  const [a, b] = parts;
  if (!a || !b) return false;
  if (a.digits === 0n || b.digits === 0n) return a.digits === b.digits;
  const low = Math.min(a.power, b.power);
  return a.digits * 10n ** BigInt(a.power - low) === b.digits * 10n ** BigInt(b.power - low);
}
