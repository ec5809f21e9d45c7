import type { IncomingMessage, ServerResponse } from "node:http";
import { drain, isEndless } from "./body.ts";

export type Headers = Readonly<Record<string, string>>;

/** Writes a whole answer: status, the headers common to all answers, its own, and the body, of this type
 *  unless its own  headers name another. */
export function send(
  req: IncomingMessage,
  res: ServerResponse,
  status: number,
  common: readonly string[],
  own: Headers | undefined,
  type: string,
  text: string | undefined,
): void {
  const headers = common.slice();
  for (const name in own) headers.push(name, own[name] ?? "");
  if (text !== undefined) {
    if (own?.["Content-Type"] === undefined) headers.push("Content-Type", type);
    headers.push("Content-Length", String(Buffer.byteLength(text)));
  } else if (status !== 204 && status !== 304) {
    headers.push("Content-Length", "0");
  }
  if (isEndless(req)) {
    sendAndClose(req, res, status, headers, text);
    return;
  }
  res.writeHead(status, headers);
  res.end(text);
  // What is left of a body that nobody read is taken in, and the connection can be used again.
  if (!req.complete) req.resume();
}

/** Answers somebody who is still sending more than we want. Closing at once would reset the connection and
 *  lose the answer,  so the answer goes out whole, then some of the rest is taken in, and then the connection
 *  closes. */
function sendAndClose(
  req: IncomingMessage,
  res: ServerResponse,
  status: number,
  headers: string[],
  text: string | undefined,
): void {
  headers.push("Connection", "close");
  res.writeHead(status, headers);
  if (text === undefined || req.method === "HEAD") res.flushHeaders();
  else res.write(text);
  drain(req, () => res.end());
}

/** Whether an `Accept` header lets this type through: the most specific range that names it decides. */
export function accepts(accept: string | undefined, type: string): boolean {
  if (accept === undefined || accept === "*/*" || accept === type) return true;
  const [wanted = "", ...parameters] = type.split(";");
  const ranges = [wanted.trim(), `${wanted.slice(0, wanted.indexOf("/"))}/*`, "*/*"];
  let best = ranges.length;
  let allowed = false;
  for (const range of accept.toLowerCase().split(",")) {
    const [name = "", ...rest] = range.split(";").map((part) => part.trim());
    const rank = ranges.indexOf(name);
    const others = rest.filter((part) => !part.startsWith("q="));
    // `application/json;profile=x` is another thing than what we make; a charset may be named as ours is.
    const same = others.every(
      (part) => part === "charset=utf-8" || parameters.some((own) => own.trim() === part),
    );
    if (rank < 0 || rank > best || !same) continue;
    const quality = rest.find((part) => part.startsWith("q="))?.slice(2);
    const ok = quality === undefined || Number(quality) > 0;
    allowed = rank === best ? allowed || ok : ok;
    best = rank;
  }
  return allowed;
}
