import { createHmac, hash, timingSafeEqual } from "node:crypto";
import { Problem } from "../../shared/platform/errors.ts";

/** Which list a cursor belongs to: another view, workspace or filter cannot use it. */
export type CursorScope = {
  view: string;
  workspace: string;
  filter: { readonly [name: string]: unknown };
};

/** Where a page starts: strictly after, or before, the row with this key. */
export type CursorPlace = { key: string; direction: "after" | "before" };

const VERSION = 1;
const MAC_BYTES = 16;

/** An opaque cursor. It names a sort key and nothing of a view's inside, so it survives a rebuild. */
export function sealCursor(secret: Buffer, scope: CursorScope, place: CursorPlace): string {
  const { view, workspace } = scope;
  const body = Buffer.from(
    JSON.stringify([VERSION, view, workspace, filterHash(scope.filter), place.key, place.direction]),
  );
  return Buffer.concat([mac(secret, body), body]).toString("base64url");
}

/** The place that a cursor names, or 400 `invalid_cursor` when it was not made for this list. */
export function openCursor(secret: Buffer, scope: CursorScope, cursor: string): CursorPlace {
  const bytes = Buffer.from(cursor, "base64url");
  const body = bytes.subarray(MAC_BYTES);
  // Decoding skips what is not base64url: only the text that we made comes back from its bytes.
  const ours =
    bytes.length > MAC_BYTES &&
    bytes.toString("base64url") === cursor &&
    timingSafeEqual(bytes.subarray(0, MAC_BYTES), mac(secret, body));
  if (!ours) throw invalid();
  const [version, view, workspace, filter, key, direction] = JSON.parse(body.toString());
  const fits =
    version === VERSION &&
    view === scope.view &&
    workspace === scope.workspace &&
    filter === filterHash(scope.filter);
  if (!fits) throw invalid();
  return { key, direction };
}

function invalid(): Problem {
  return new Problem("invalid_cursor", "The cursor does not belong to this list and filter.");
}

function mac(secret: Buffer, body: Buffer): Buffer {
  return createHmac("sha256", secret).update(body).digest().subarray(0, MAC_BYTES);
}

/** The same for equal filters, whatever the order in which they were written. */
function filterHash(filter: CursorScope["filter"]): string {
  const entries = Object.entries(filter)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, Array.isArray(value) ? value.map(String).sort() : String(value)])
    .sort(([one], [other]) => (String(one) < String(other) ? -1 : 1));
  return hash("sha256", JSON.stringify(entries), "base64url").slice(0, 22);
}
