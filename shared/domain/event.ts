import { z } from "zod";

/** Any JSON value, kept exactly as it was given. (`z.json()` silently drops a `__proto__` key.) */
export const Json = z.unknown();
export type Json = unknown;
export type JsonObject = { [key: string]: Json };

/** Who did it: taken from the credential, never from a body. */
export type Actor = { type: "api_key" | "system" | "kafka"; id: string };

/** What is recorded beside an event. Hashes are 64 lower-case hex digits, salts 16 raw bytes, instants ISO
 *  8601 UTC. */
export type Meta = {
  /** Schema version of the type. */
  v: number;
  /** `null` for `ledger.*`. */
  workspace: string | null;
  actor: Actor;
  correlationId: string | null;
  causationId: string | null;
  requestId: string | null;
  /** When the producer says it happened. */
  at: string;
  /** When the ledger recorded it. */
  recordedAt: string;
  /** Leaf hash of the stream's previous event; `null` at revision 0. */
  prev: string | null;
  dataHash: string;
  contentHash: string | null;
  commandHash: string | null;
};

/** An event, sealed and ready to be appended: nothing in it is left to the store. */
export type NewEvent = {
  id: string;
  stream: string;
  revision: number;
  type: string;
  /** Canonical JSON of the structure. */
  data: string;
  /** Canonical JSON of what a producer or a person wrote; absent when there is nothing, or when it was
   *  erased. */
  content?: string;
  meta: Meta;
  dataSalt: Uint8Array;
  contentSalt?: Uint8Array;
  /** Leaf hash, 32 raw bytes. */
  leaf: Uint8Array;
  /** JSON of `meta`, as it stands in the leaf. */
  metaJson: string;
};

/** An event as it was recorded. `data` is structure and always there; `content` may have been erased. */
export type RecordedEvent<Type extends string = string, Data = JsonObject, Content = JsonObject> = {
  id: string;
  stream: string;
  revision: number;
  position: bigint;
  type: Type;
  data: Data;
  content?: Content;
  meta: Meta & { dataSalt: Uint8Array; contentSalt?: Uint8Array };
  leaf: Uint8Array;
};

/** What may be proposed to a stream: parsed at a door, not yet decided. */
export type Proposed<Type extends string = string, Data = JsonObject, Content = JsonObject> = {
  type: Type;
  data: Data;
  content?: Content;
};

/** What the domain says to a proposal: these members completed, or a refusal with a stable code. */
export type Decision<Event extends Proposed = Proposed> =
  | { accepted: true; event: Event }
  | { accepted: false; code: string; detail: string };

export const accept = <Event extends Proposed>(event: Event): Decision<Event> => ({ accepted: true, event });
export const refuse = (code: string, detail: string): Decision<never> => ({ accepted: false, code, detail });

/** Exhaustiveness: a new event does not compile until it has a meaning where this is called. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}

/** Control characters have no place in a name. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused.
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** Names of workflows, steps, states and tags: 1–255 characters, none of them a control character. */
export const Name = z
  .string()
  .min(1)
  .max(255)
  .refine((name) => !CONTROL.test(name), "must not contain control characters");

/** Why something ended or stopped: a word for programs. */
export const Reason = z.string().regex(/^[a-z0-9_.-]{1,64}$/, "must match [a-z0-9_.-]{1,64}");

/** What went wrong, in the producer's words. */
export const ErrorContent = z.strictObject({
  message: z.string(),
  code: z.string().optional(),
  data: Json.optional(),
});

const RFC_3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/** RFC 3339 with a four-digit year, to `YYYY-MM-DDTHH:mm:ss.sssZ`: offsets converted, finer digits cut.
 *  Undefined when it is not one. */
export function parseInstant(text: string): string | undefined {
  const parts = RFC_3339.exec(text);
  if (!parts) return undefined;
  const [, year, month, day, hour, minute, second, fraction, sign, offsetHour, offsetMinute] = parts;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  if (Number(offsetHour ?? 0) > 23 || Number(offsetMinute ?? 0) > 59) return undefined;
  const wall = new Date(
    `${year}-${month}-${day}T${hour}:${minute}:${second}.${(fraction ?? "").slice(0, 3).padEnd(3, "0")}Z`,
  );
  if (Number.isNaN(wall.getTime()) || wall.getUTCDate() !== Number(day)) return undefined;
  const offsetMs = sign
    ? (sign === "-" ? -1 : 1) * (Number(offsetHour) * 60 + Number(offsetMinute)) * 60_000
    : 0;
  const instant = new Date(wall.getTime() - offsetMs);
  const year4 = instant.getUTCFullYear();
  return year4 >= 0 && year4 <= 9999 ? instant.toISOString() : undefined;
}

/** An instant as `YYYY-MM-DDTHH:mm:ss.sssZ`; normalised when it is parsed. */
export const Instant = z.string().transform((text, context) => {
  const instant = parseInstant(text);
  if (instant !== undefined) return instant;
  context.addIssue({ code: "custom", message: "must be an RFC 3339 instant with a four-digit year" });
  return z.NEVER;
});

/** Made by the ledger alone: a body that brings one is invalid. */
type Made = readonly string[];

/** One type of event: what is structure, what is content, and which members only the ledger makes. */
export type EventType<
  Type extends string = string,
  Data extends z.ZodRawShape = z.ZodRawShape,
  Content extends z.ZodRawShape = z.ZodRawShape,
> = {
  type: Type;
  data: Data;
  content: Content;
  /** What producers may send, `data` and `content` merged: strict, without the made members. */
  proposed: z.ZodType<JsonObject>;
  /** Members of `data` that a proposal may bring, in a list that `split` walks. */
  dataKeys: ReadonlySet<string>;
};

/** Declares one type of event. `made` names the members that only the ledger fills in. */
export function event<Type extends string, Data extends z.ZodRawShape, Content extends z.ZodRawShape>(
  type: Type,
  data: Data,
  content: Content,
  made: Made = [],
): EventType<Type, Data, Content> {
  const shape = Object.fromEntries(
    Object.entries({ ...data, ...content }).filter(([name]) => !made.includes(name)),
  );
  return {
    type,
    data,
    content,
    proposed: z.strictObject(shape) as never,
    dataKeys: new Set(Object.keys(data)),
  };
}

type Parsed<Shape extends z.ZodRawShape> = z.infer<z.ZodObject<Shape>>;

/** The union of proposals that a list of event types describes. */
export type ProposedOf<Types extends readonly EventType[]> = {
  [Index in keyof Types]: Types[Index] extends EventType<infer Type, infer Data, infer Content>
    ? Proposed<Type, Parsed<Data>, Parsed<Content>>
    : never;
}[number];

/** A proposal's merged members, apart: structure into `data`, the rest into `content`. */
export function split(kind: EventType, merged: JsonObject): Proposed {
  const data: JsonObject = {};
  const content: JsonObject = {};
  let written = false;
  for (const name of Object.keys(merged)) {
    if (merged[name] === undefined) continue;
    if (kind.dataKeys.has(name)) data[name] = merged[name];
    else {
      content[name] = merged[name];
      written = true;
    }
  }
  return written ? { type: kind.type, data, content } : { type: kind.type, data };
}
