import { hash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { Problem } from "../../shared/platform/errors.ts";

const TOKEN = /^[A-Za-z0-9_.:-]{1,128}$/;
const COMMAND_ID = /^[\x21-\x7e]{1,255}$/;
const POSITION = /^(?:0|[1-9]\d{0,18})$/;
/** The highest position that fits into a signed 64-bit column. */
const POSITION_MAX = 2n ** 63n - 1n;
/** `"12.3f5a…"` as we make them; a client may leave the hash away. */
const REVISION_TAG = /^"(0|[1-9]\d{0,8})(?:\.[0-9a-f]{32})?"$/;

function invalid(header: string, detail: string): Problem {
  return new Problem("invalid_header", `${header} ${detail}`, { header });
}

/** The client's request id where it can be taken; otherwise it gets one of ours. */
export const clientRequestId = (headers: IncomingHttpHeaders): string | undefined => {
  const given = headers["x-request-id"];
  return typeof given === "string" && TOKEN.test(given) ? given : undefined;
};

/** What the client calls the larger thing that this request is part of. */
export function correlationId(headers: IncomingHttpHeaders): string | null {
  const given = headers["correlation-id"];
  return typeof given === "string" && TOKEN.test(given) ? given : null;
}

/** The command id for the whole request. Node joins a repeated header with `, `, which no command id
 *  contains. */
export function idempotencyKey(headers: IncomingHttpHeaders): string | undefined {
  const given = headers["idempotency-key"];
  if (given === undefined) return undefined;
  if (typeof given === "string" && COMMAND_ID.test(given)) return given;
  throw new Problem("invalid_command_id", "Idempotency-Key must have 1–255 visible ASCII characters.");
}

/** A position as it is on the wire; undefined when it is not one. */
export function parsePosition(text: string): bigint | undefined {
  if (!POSITION.test(text)) return undefined;
  const position = BigInt(text);
  return position <= POSITION_MAX ? position : undefined;
}

/** The position that a read must have reached. */
export function minPosition(headers: IncomingHttpHeaders): bigint | undefined {
  const given = headers["ledger-min-position"];
  if (given === undefined) return undefined;
  const position = typeof given === "string" ? parsePosition(given) : undefined;
  if (position === undefined) throw invalid("Ledger-Min-Position", "must be a position");
  return position;
}

/** The revision that the client has seen; undefined without the header, or for `*`. */
export function ifMatch(headers: IncomingHttpHeaders): number | undefined {
  const given = headers["if-match"];
  if (given === undefined || given === "*") return undefined;
  const revision = REVISION_TAG.exec(given)?.[1];
  if (revision === undefined) throw invalid("If-Match", "must be an ETag of this resource");
  return Number(revision);
}

/** Whether `If-None-Match` names this tag: the client has what it asks for. */
export function noneMatch(headers: IncomingHttpHeaders, etag: string): boolean {
  const given = headers["if-none-match"];
  if (given === undefined) return false;
  return given.split(",").some((tag) => {
    const named = tag.trim();
    return named === "*" || (named.startsWith("W/") ? named.slice(2) : named) === etag;
  });
}

/** `"<revision>.<hash of the body>"`: the revision is what `If-Match` compares, the hash tells two views of
 *  it apart. */
export const etagOf = (revision: number, body: string): string =>
  `"${revision}.${hash("sha256", body, "hex").slice(0, 32)}"`;
