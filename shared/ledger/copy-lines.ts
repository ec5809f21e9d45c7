import { EPOCH, UnusableLog } from "../event-store/event-store.ts";
import { canonical, encodeMeta } from "../verification/canonical.ts";
import { readJson } from "../verification/read-json.ts";
import type { CopiedEvent } from "./copy-log.ts";

/** What the first line of a file says. */
export type Header = {
  format: string;
  version: number;
  ledger: string;
  epoch: number;
  /** "without gaps" where the positions of one epoch are 1, 2, 3 … */
  positions: string;
};
/** What the last line says: how much there is before it, up to where, and the SHA-256 of all of it. */
export type Footer = { count: number; digest: string; head: string; sha256: string };

const FORMAT = "runledger-log";
const VERSION = 1;
const WARNING = "this file holds everything that was written into the log: keep it as secret as the log";

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const bytes = (text: unknown, length: number): Buffer => {
  if (typeof text !== "string" || text.length !== 2 * length || !/^[0-9a-f]*$/.test(text))
    throw new TypeError(`a value is not ${length} bytes in hex`);
  return Buffer.from(text, "hex");
};
export const headerLine = (ledger: string, epoch: bigint, hasGaps: boolean): string => {
  const positions = hasGaps ? "with gaps" : "without gaps";
  const header: Header = { format: FORMAT, version: VERSION, ledger, epoch: Number(epoch), positions };
  return JSON.stringify({ ...header, warning: WARNING });
};

/** Where the first event is, if the positions have no gaps. */
export const firstPositionIn = ({ epoch, positions }: Header): bigint | undefined =>
  positions === "without gaps" ? BigInt(epoch) * EPOCH + 1n : undefined;

export function headerIn(path: string, text: string | undefined): Header {
  let header: Partial<Header> | undefined;
  try {
    header = JSON.parse(text ?? "") as Partial<Header>;
  } catch {
    header = undefined; // Whatever it is, it is no header.
  }
  if (header?.format !== FORMAT) throw new UnusableLog(`${path} is not an exported log`);
  if (header.version !== VERSION)
    throw new UnusableLog(`${path} has format ${header.version}: a newer program wrote it`);
  const { ledger, epoch, positions } = header;
  if (!/^[0-9a-f]{32}$/.test(String(ledger)) || !Number.isSafeInteger(epoch) || Number(epoch) < 0)
    throw new UnusableLog(`${path} names no ledger or no epoch`);
  return { ...(header as Header), positions: String(positions) };
}

/** `data`, `content` and `meta` are JSON already, and stand there as they were hashed. */
export function eventLine(event: CopiedEvent): string {
  const { position, stream, revision, id, type, data, content, meta, contentSalt, was, erasure } = event;
  const named = JSON.stringify({ position: `${position}`, stream, revision, id, type });
  const salts = { dataSalt: hex(event.dataSalt), ...(contentSalt ? { contentSalt: hex(contentSalt) } : {}) };
  const former = was?.map(({ epoch, own }) => [Number(epoch), `${own}`]);
  const beside = JSON.stringify({
    ...salts,
    leaf: hex(event.leaf),
    ...(former && former.length > 0 ? { was: former } : {}),
    ...(erasure ? { erasure } : {}),
  });
  const written = content === null ? "" : `,"content":${content}`;
  return `${named.slice(0, -1)},"data":${data}${written},"meta":${meta},${beside.slice(1)}`;
}

export function eventIn(path: string, number: number, text: string): CopiedEvent {
  try {
    const line = readJson(text) as { [member: string]: unknown };
    const { stream, revision, id, type, data, content, meta, dataSalt, contentSalt, leaf, was } = line;
    const erasure = line.erasure as CopiedEvent["erasure"];
    return {
      position: BigInt(String(line.position)),
      stream: String(stream),
      revision: Number(revision),
      id: String(id),
      type: String(type),
      data: canonical(data),
      content: content === undefined ? null : canonical(content),
      meta: encodeMeta(meta as Parameters<typeof encodeMeta>[0]), // The leaf says whether it is one.
      dataSalt: bytes(dataSalt, 16),
      contentSalt: contentSalt === undefined ? null : bytes(contentSalt, 16),
      leaf: bytes(leaf, 32),
      ...(Array.isArray(was)
        ? { was: was.map(([epoch, own]) => ({ epoch: BigInt(epoch), own: BigInt(own) })) }
        : {}),
      ...(erasure ? { erasure } : {}),
    };
  } catch (error) {
    throw new UnusableLog(`line ${number} of ${path} cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
