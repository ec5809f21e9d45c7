import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { Problem } from "../../shared/platform/errors.ts";

export const BODY_BYTES_MAX = 1024 * 1024;

/** How much of a refused body is still taken in, so that its sender gets to read the answer. */
const DRAIN_BYTES_MAX = 16 * 1024 * 1024;

/** The client went away in the middle of its request: there is nobody to answer. */
export class Gone extends Error {
  readonly code = "gone";
}

/** 415 unless the body says it is JSON in UTF-8, as it stands. */
export function requireJson(headers: IncomingHttpHeaders): void {
  const encoding = headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity") {
    throw new Problem("unsupported_media_type", "Compressed bodies are not taken.");
  }
  const type = headers["content-type"];
  if (type === "application/json") return;
  const [essence = "", ...parameters] = (type ?? "").toLowerCase().split(";");
  if (essence.trim() !== "application/json") {
    throw new Problem("unsupported_media_type", "The Content-Type must be application/json.");
  }
  for (const parameter of parameters) {
    const [name = "", value = ""] = parameter.split("=");
    if (name.trim() === "charset" && !/^\s*"?utf-8"?\s*$/.test(value)) {
      throw new Problem("unsupported_media_type", "The charset must be utf-8.");
    }
  }
}

const tooLarge = (bytesMax: number) =>
  new Problem("body_too_large", `The body has more than ${bytesMax} bytes.`, { bytesMax });

/** The exact bytes of a request's body; 413 as soon as it is known that there are more than `bytesMax`. */
export function readBody(req: IncomingMessage, bytesMax: number): Promise<Buffer> {
  if (declaredLength(req) > bytesMax) return Promise.reject(tooLarge(bytesMax));
  return new Promise((resolve, reject) => {
    let first: Buffer | undefined;
    let more: Buffer[] | undefined;
    let length = 0;
    const onData = (chunk: Buffer) => {
      length += chunk.length;
      if (length > bytesMax) settle(tooLarge(bytesMax));
      else if (first === undefined) first = chunk;
      else if (more === undefined) more = [first, chunk];
      else more.push(chunk);
    };
    const onEnd = () => settle();
    const onClose = () => settle(new Gone("the client closed the connection"));
    function settle(error?: Error) {
      req.off("data", onData).off("end", onEnd).off("error", onClose).off("close", onClose);
      if (error) reject(error);
      else resolve(more ? Buffer.concat(more) : (first ?? Buffer.alloc(0)));
    }
    req.on("data", onData).on("end", onEnd).on("error", onClose).on("close", onClose);
  });
}

/** 0 without the header: then the bytes are counted as they come. */
function declaredLength(req: IncomingMessage): number {
  const declared = req.headers["content-length"];
  return declared === undefined ? 0 : Number(declared);
}

/** Whether the rest of this request's body may be too much to take in, so that its connection has to be
 *  closed. */
export function isEndless(req: IncomingMessage): boolean {
  if (req.complete) return false;
  return req.headers["transfer-encoding"] !== undefined || declaredLength(req) > DRAIN_BYTES_MAX;
}

/** Takes in, and forgets, what is left of a body: all of it, or as much as is reasonable. */
export function drain(req: IncomingMessage, done: () => void): void {
  if (req.complete || req.destroyed) {
    done();
    return;
  }
  let length = 0;
  const stop = () => {
    req.off("data", onData).off("end", stop).off("close", stop).off("error", stop);
    done();
  };
  const onData = (chunk: Buffer) => {
    length += chunk.length;
    if (length > DRAIN_BYTES_MAX) stop();
  };
  req.on("data", onData).on("end", stop).on("close", stop).on("error", stop);
}
