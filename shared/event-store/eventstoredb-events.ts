import type { JsonObject, Meta, NewEvent, RecordedEvent } from "../domain/event.ts";
import { uuidV8 } from "../verification/ids.ts";
import { hasEscapedKey, readJson } from "../verification/read-json.ts";
import { DamagedEvent } from "./damaged-event.ts";
import { EPOCH, UnusableLog } from "./event-store.ts";
import type { BinaryEvent, ServerPosition } from "./eventstoredb-client.ts";
import type { Erasure, FormerPosition, MovedEvent } from "./moved-event.ts";
import {
  openText,
  readSalted,
  type SaltedContent,
  type StreamKeys,
  saltedText,
  sealText,
} from "./sealed-content.ts";

/** Whose log it is, and where it lies on the server. */
export type Log = {
  ledger: string;
  prefix: string;
  epoch: bigint;
  /** The own position behind which everything of it stands. */
  begin: bigint;
};

/** How an event's body is kept: not at all without content. */
type Body = "none" | "plain" | "sealed";

/** What stands in an event's metadata there: its structure, and all that is ours. */
type Kept = {
  ledger: string;
  stream: string;
  id: string;
  leaf: string;
  dataSalt: string;
  body: Body;
  /** As JSON; as its text where a key is written with an escape: the client reads metadata with
   *  `JSON.parse`, and that is not exact then. */
  data: JsonObject | string;
  meta: Meta;
  /** Of an event that came from another log: [epoch, own position], oldest first. */
  was?: [number, string][];
  erasure?: Erasure;
};

/** An event as the client gives it. */
export type ServerEvent = {
  streamId: string;
  id: string;
  type: string;
  revision: bigint;
  data: unknown;
  metadata?: unknown;
  position?: ServerPosition;
};

/** One that is ours, and where it stands. */
export type OurEvent = { kept: Kept; event: ServerEvent; stream: string; own: bigint };

const utf8 = new TextEncoder();
const NOTHING = new Uint8Array();

const hex = (bytes: Uint8Array): string =>
  (Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes)).toString("hex");

/** The UUIDv8 of the leaf hash. The server takes two events with one id for the same: with this they are. */
export function serverId(leaf: Uint8Array): string {
  const digits = uuidV8(leaf).toString("hex");
  const [head, tail] = [digits.slice(0, 8), digits.slice(20)];
  return `${head}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${tail}`;
}

/** An event as the server is to keep it. Metadata has to be a plain Uint8Array: the client would write any
 *  other as JSON of its own. */
export function encode(ledger: string, event: NewEvent, key: Uint8Array | undefined): BinaryEvent {
  const { id, stream, revision, type, data, content, contentSalt, dataSalt, leaf, metaJson } = event;
  const salted = content === undefined || !contentSalt ? undefined : saltedText(content, contentSalt);
  const body: Body = salted === undefined ? "none" : key ? "sealed" : "plain";
  const kept =
    `{"ledger":"${ledger}","stream":"${stream}","id":"${id}","leaf":"${hex(leaf)}",` +
    `"dataSalt":"${hex(dataSalt)}","body":"${body}",` +
    `"data":${hasEscapedKey(data) ? JSON.stringify(data) : data},"meta":${metaJson}${besideOf(event)}}`;
  return {
    id: serverId(leaf),
    contentType: "application/octet-stream",
    type,
    data: bodyOf({ ledger, stream, revision }, salted, key),
    metadata: utf8.encode(kept),
  };
}

/** What a move has put beside the event, or an append after an erasure. */
function besideOf({ was, erasure }: NewEvent & Partial<MovedEvent>): string {
  const former = was && JSON.stringify(was.map(({ epoch, own }) => [Number(epoch), `${own}`]));
  return (former ? `,"was":${former}` : "") + (erasure ? `,"erasure":${JSON.stringify(erasure)}` : "");
}

/** The same, read. */
export const besideIn = ({ kept }: OurEvent): { was?: readonly FormerPosition[]; erasure?: Erasure } => ({
  ...(kept.was ? { was: kept.was.map(([epoch, own]) => ({ epoch: BigInt(epoch), own: BigInt(own) })) } : {}),
  ...(kept.erasure ? { erasure: kept.erasure } : {}),
});

function bodyOf(
  place: { ledger: string; stream: string; revision: number },
  salted: string | undefined,
  key: Uint8Array | undefined,
): Uint8Array {
  if (salted === undefined) return NOTHING;
  return key ? sealText(key, place, salted) : utf8.encode(salted);
}

/** An event of this ledger's log; undefined for anything else that the server has. */
export function ours(
  { ledger, prefix }: Pick<Log, "ledger" | "prefix">,
  event: ServerEvent | undefined,
): OurEvent | undefined {
  if (!event?.streamId.startsWith(prefix)) return undefined;
  const kept = event.metadata as Partial<Kept> | null | undefined; // A stranger's has another shape.
  if (typeof kept !== "object" || kept === null || kept.ledger !== ledger) return undefined;
  const stream = event.streamId.slice(prefix.length);
  if (kept.stream !== stream) return undefined; // A copy that somebody made in another place.
  return { kept: kept as Kept, event, stream, own: ownPosition(event) };
}

/** An event's own position: where its commit is, which for an event of ours is where it was prepared. */
export function ownPosition({ streamId, revision, position }: ServerEvent): bigint {
  if (position && isOwn(position)) return position.commit;
  const where = position ? `${position.commit}/${position.prepare}` : "none";
  throw new UnusableLog(
    `the event store gives revision ${revision} of ${streamId} no position that can be used (${where}): ` +
      "it must be EventStoreDB 22.6 or later, and nobody may write to this log in transactions",
  );
}

/** Whether a position can be one of ours: −1 and 2^64−1 stand for none. */
export const isOwn = ({ commit, prepare }: ServerPosition): boolean =>
  commit === prepare && commit > 0n && commit < EPOCH;

/** Whether it has content that goes with its stream's key. */
export const isSealed = ({ kept }: OurEvent): boolean => kept.body === "sealed";

export const leafOf = ({ kept }: OurEvent): string => kept.leaf;

/** Events as they were recorded. Their keys are looked up together; where a key is gone the content is
 *  erased. */
export async function decodeAll(
  log: Log,
  events: readonly OurEvent[],
  keys: Pick<StreamKeys, "find"> | undefined,
): Promise<RecordedEvent[]> {
  const streams = new Set<string>();
  for (const { kept, stream } of events) if (kept.body === "sealed") streams.add(stream);
  if (streams.size > 0 && !keys)
    throw new UnusableLog("the log has sealed content: it cannot be read while sealing is turned off");
  const found = streams.size > 0 && keys ? await keys.find([...streams]) : new Map<string, Buffer>();
  return events.map((event) => decode(log, event, found.get(event.stream)));
}

function decode(log: Log, { kept, event, stream, own }: OurEvent, key: Buffer | undefined): RecordedEvent {
  const position = log.epoch * EPOCH + own;
  try {
    const revision = Number(event.revision);
    const salted = contentOf({ ledger: log.ledger, stream, revision }, kept.body, event.data, key);
    const salts = { dataSalt: Buffer.from(kept.dataSalt, "hex") };
    const recorded: RecordedEvent = {
      id: kept.id,
      stream,
      revision,
      position,
      type: event.type,
      data: typeof kept.data === "string" ? (readJson(kept.data) as JsonObject) : kept.data,
      meta: { ...kept.meta, ...salts, ...(salted ? { contentSalt: salted.contentSalt } : {}) },
      leaf: Buffer.from(kept.leaf, "hex"),
    };
    if (salted) recorded.content = salted.content;
    return recorded;
  } catch (error) {
    throw new DamagedEvent(position, (error as Error).message, { cause: error });
  }
}

function contentOf(
  place: { ledger: string; stream: string; revision: number },
  body: Body,
  data: unknown,
  key: Buffer | undefined,
): SaltedContent | undefined {
  if (body === "none") return undefined;
  if (!(data instanceof Uint8Array)) throw new TypeError("its body is not binary");
  if (body === "plain") return readSalted(Buffer.from(data).toString("utf8"));
  if (body === "sealed") return key && readSalted(openText(key, place, data));
  throw new TypeError(`its body is ${body}`);
}
