import { createHmac } from "node:crypto";
import type { EndpointVersion } from "../../shared/domain/endpoint/history.ts";
import type { JsonObject } from "../../shared/domain/event.ts";
import { invalidMember, pointer } from "../../shared/intake/invalid.ts";
import { Problem } from "../../shared/platform/errors.ts";
import {
  type CustomHeaders,
  HEADERS_BYTES_MAX,
  HEADERS_MAX,
  isBearerToken,
  isHeaderName,
  isHeaderValue,
  isReserved,
  parseCustomHeaders,
  sizeOf,
} from "../../shared/webhooks/custom-headers.ts";
import type { Secrets } from "./endpoint-keys.ts";

/** What a body says of an endpoint's own headers; `null` takes them away. */
export type HeadersAsked = {
  headers?: Readonly<Record<string, string>> | null | undefined;
  bearerToken?: string | null | undefined;
};

/** An endpoint's own headers with what a body says of them, by their names in lower case. Names and values
 *  that could say anything else than themselves are refused, and no value is repeated. */
export function headersAfter(before: CustomHeaders, { headers, bearerToken }: HeadersAsked): CustomHeaders {
  const { authorization, ...others } = before;
  const said = headers === undefined ? others : lowerCased(headers ?? {});
  const token = bearerToken ?? undefined;
  if (token !== undefined && !isBearerToken(token))
    throw invalidMember("/bearerToken", "must have letters, digits and - . _ ~ + / alone, and = at its end");
  if (token !== undefined && said.authorization !== undefined)
    throw invalidMember("/bearerToken", "is beside another authorization");
  const kept = bearerToken === undefined ? authorization : token && `Bearer ${token}`;
  const after = kept === undefined || kept === null ? said : { authorization: kept, ...said };
  const count = Object.keys(after).length;
  if (count > HEADERS_MAX)
    throw invalidMember("/headers", `are ${count}: an endpoint has at most ${HEADERS_MAX}`);
  if (sizeOf(after) > HEADERS_BYTES_MAX)
    throw invalidMember("/headers", `have more than ${HEADERS_BYTES_MAX} bytes together`);
  return after;
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  const named: Record<string, string> = {};
  for (const [given, value] of Object.entries(headers)) {
    const name = given.toLowerCase();
    const at = pointer(["headers", given]);
    if (!isHeaderName(name)) throw invalidMember(at, "is not the name of a header");
    if (isReserved(name))
      throw new Problem("header_not_allowed", `${name} is not an endpoint's to say.`, { header: name });
    if (Object.hasOwn(named, name)) throw invalidMember(at, "is named twice");
    if (!isHeaderValue(value))
      throw invalidMember(at, "must be visible ASCII, with spaces and tabs between alone");
    named[name] = value;
  }
  return named;
}

/** An endpoint's own headers as they are now. */
export async function headersOf(
  secrets: Pick<Secrets, "find">,
  { policy: { headersKeyId } }: Pick<EndpointVersion, "policy">,
): Promise<CustomHeaders> {
  const kept = headersKeyId === undefined ? undefined : await secrets.find(headersKeyId);
  return kept ? parseCustomHeaders(kept.toString()) : {};
}

/** What the log says of them: under which key they are, and their names. */
export const namedIn = (headers: CustomHeaders, headersKeyId: string) => {
  const headerNames = Object.keys(headers).sort();
  return headerNames.length === 0 ? {} : { headersKeyId, headerNames };
};

const SHAPES_KEY_BYTES = 32;

/** A body as its command's hash sees it. The hash is in the log with its salt, and whoever reads it could try
 *  out what a token might be: in place of what is secret stands a code that only the vault's holder can
 *  make. */
export async function commandShape(
  secrets: Pick<Secrets, "secretOf">,
  body: JsonObject,
): Promise<JsonObject> {
  const { secret, bearerToken, headers } = body;
  const isSecret = [secret, bearerToken, headers].some((member) => member !== undefined && member !== null);
  if (!isSecret) return body;
  const key = await secrets.secretOf("command-shapes", SHAPES_KEY_BYTES);
  const code = (value: unknown) =>
    typeof value === "string" ? createHmac("sha256", key).update(value).digest("hex") : value;
  const shape: JsonObject = { ...body };
  if (secret !== undefined) shape.secret = code(secret);
  if (bearerToken !== undefined) shape.bearerToken = code(bearerToken);
  if (headers !== undefined && headers !== null)
    shape.headers = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, code(value)]));
  return shape;
}
