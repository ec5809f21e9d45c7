import { type Verification, verify } from "./signature.ts";

/** Headers in whatever form a server has them: names in any case; Node's `req.headers` or `req.rawHeaders`,
 *  the standard `Headers`, a Map, or pairs. */
export type WebhookHeaders =
  | Iterable<readonly [string, string]>
  | readonly string[]
  | Readonly<Record<string, string | readonly string[] | undefined>>;

/** The body as it came over the wire: what a parser made of it cannot be verified. A stream is read here, and
 *  no further than the limit. */
export type WebhookBody = Uint8Array | ArrayBuffer | string | null | AsyncIterable<Uint8Array | string>;

/** A standard `Request` is one as it is. */
export type WebhookRequest = { headers: WebhookHeaders; body: WebhookBody };

/** A run as a webhook shows it; whatever else it has stands under its own name. */
export type WebhookRun = { readonly id: string; readonly [name: string]: unknown };

export type WebhookEvent = {
  /** Which delivery this is: the same at every attempt, and the only thing to know it by. */
  id: string;
  /** Such as `run.completed`. */
  type: string;
  /** When it happened, not when it was sent. */
  timestamp: string;
  data: { readonly run?: WebhookRun; readonly [name: string]: unknown };
  /** Somebody tries the endpoint out: none of it happened. */
  example: boolean;
  /** Where it stands in the log; null when somebody else signed it, who has no log. */
  ledger: { event: string; revision: number; previous: string | null; hash: string } | null;
};

type Unverified = Exclude<Verification, { ok: true }>["reason"];

/** Why a request is not a webhook for us, and what to answer. */
export type Unread = {
  ok: false;
  status: 400 | 401 | 413 | 500;
  reason: Unverified | "body_not_raw" | "body_too_large" | "body_unreadable";
};
export type Read = { ok: true; event: WebhookEvent } | Unread;

export type ReadOptions = {
  secrets: readonly string[];
  nowSeconds: number;
  toleranceSeconds: number;
  bodyBytesMax: number;
};

/** Both are sent with the same signature; some senders have only the second. */
const families = ["webhook", "svix"];

/** Verifies a request and reads its body. Looks at nothing that is not signed but the signature itself.
 *  Throws InvalidSecret. */
export async function readWebhook({ headers, body }: WebhookRequest, options: ReadOptions): Promise<Read> {
  const bytes = await readBody(body, options.bodyBytesMax);
  if (!(bytes instanceof Uint8Array)) return bytes;
  const received = signedHeaders(namesToValues(headers));
  const verified = verify(options.secrets, received, bytes, options);
  if (!verified.ok) return refused(verified.reason === "no_match" ? 401 : 400, verified.reason);
  const event = eventOf(received.id ?? "", bytes);
  return event ? { ok: true, event } : refused(400, "body_unreadable");
}

const refused = (status: Unread["status"], reason: Unread["reason"]): Unread => ({
  ok: false,
  status,
  reason,
});

async function readBody(body: WebhookBody, bytesMax: number): Promise<Uint8Array | Unread> {
  const whole = wholeBody(body);
  if (whole) return whole.length > bytesMax ? refused(413, "body_too_large") : whole;
  // A parser was faster: that is this side's mistake, and the sender tries again once it is put right.
  if (!isStream(body)) return refused(500, "body_not_raw");
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of body) {
      const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
      length += bytes.length;
      if (length > bytesMax) return refused(413, "body_too_large");
      chunks.push(bytes);
    }
  } catch {
    return refused(400, "body_unreadable"); // The sender is gone.
  }
  return Buffer.concat(chunks, length);
}

function wholeBody(body: WebhookBody): Uint8Array | undefined {
  if (body === null) return new Uint8Array();
  if (typeof body === "string") return Buffer.from(body);
  if (body instanceof ArrayBuffer) return new Uint8Array(body);
  return body instanceof Uint8Array ? body : undefined;
}

const isStream = (body: unknown): body is AsyncIterable<Uint8Array | string> =>
  isObject(body) && Symbol.asyncIterator in body;

/** Every header by its name in lower case. What came several times is joined as HTTP joins it, so that nobody
 *  can send two values and have one of them signed and the other read. */
function namesToValues(headers: WebhookHeaders): Map<string, string> {
  const values = new Map<string, string>();
  for (const [name, value] of pairsOf(headers)) {
    const key = name.toLowerCase();
    const before = values.get(key);
    values.set(key, before === undefined ? value : `${before}, ${value}`);
  }
  return values;
}

function* pairsOf(headers: WebhookHeaders): Iterable<readonly [string, string]> {
  if (typeof headers !== "object" || headers === null) return; // Whoever calls this may know no types.
  if (Symbol.iterator in headers) {
    let name: string | undefined;
    for (const each of headers) {
      if (typeof each !== "string") yield each;
      else if (name === undefined) name = each;
      else {
        yield [name, each];
        name = undefined;
      }
    }
    return;
  }
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined) yield [name, Array.isArray(value) ? value.join(", ") : String(value)];
}

/** The headers of the first family that is complete, never of two mixed. */
function signedHeaders(values: ReadonlyMap<string, string>) {
  const all = families.map((family) => ({
    id: values.get(`${family}-id`),
    timestamp: values.get(`${family}-timestamp`),
    signature: values.get(`${family}-signature`),
  }));
  const none = { id: undefined, timestamp: undefined, signature: undefined };
  return all.find(({ id, timestamp, signature }) => id && timestamp && signature) ?? none;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The event that a body tells of; undefined where it is none. */
function eventOf(id: string, bytes: Uint8Array): WebhookEvent | undefined {
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
  if (!isObject(body)) return undefined;
  const { type, timestamp, data } = body;
  if (typeof type !== "string" || typeof timestamp !== "string" || !isObject(data)) return undefined;
  const { run, ...rest } = data;
  const isRun = isObject(run) && typeof run.id === "string";
  if (run !== undefined && !isRun) return undefined;
  const read = isRun ? { ...rest, run: { ...run, id: String(run.id) } } : rest;
  return { id, type, timestamp, data: read, example: data.example === true, ledger: ledgerOf(body.ledger) };
}

function ledgerOf(value: unknown): WebhookEvent["ledger"] {
  if (!isObject(value)) return null;
  const { event, revision, previous, hash } = value;
  if (typeof event !== "string" || typeof hash !== "string") return null;
  if (!Number.isSafeInteger(revision) || (previous !== null && typeof previous !== "string")) return null;
  return { event, revision: Number(revision), previous, hash };
}
