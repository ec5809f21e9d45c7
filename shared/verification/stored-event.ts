import type { Meta } from "../domain/event.ts";
import { canonical, encodeLeaf, encodeMeta, leafHash, saltedHash } from "./canonical.ts";
import { readJson } from "./read-json.ts";

/** An event as the store holds it: texts that nobody has parsed, let alone believed. */
export type StoredEvent = {
  position: bigint;
  stream: string;
  revision: number;
  id: string;
  type: string;
  data: string;
  content: string | null;
  meta: string;
  dataSalt: Uint8Array;
  contentSalt: Uint8Array | null;
  leaf: Uint8Array;
};

/** The meta of an event, if it is written exactly as the ledger writes it; throws otherwise. */
export function parseMeta(text: string): Meta {
  const meta = JSON.parse(text) as Meta;
  if (encodeMeta(meta) !== text) throw new TypeError("its meta is not what the ledger writes");
  return meta;
}

/** Whether an event once had content and has lost it. */
export const isErasedIn = ({ content }: StoredEvent, { contentHash }: Meta): boolean =>
  content === null && contentHash !== null;

/** What is wrong with an event by itself: whether its data, its content and its leaf are what was hashed. */
export const problemOfEvent = (ledger: string, event: StoredEvent, meta: Meta): string | undefined =>
  problemOfData(event, meta) ?? problemOfContent(event, meta) ?? problemOfLeaf(ledger, event);

const isCanonical = (text: string): boolean => canonical(readJson(text)) === text;

function problemOfData(event: StoredEvent, meta: Meta): string | undefined {
  if (saltedHash(event.dataSalt, event.data) !== meta.dataHash)
    return "its data is not what was recorded: the hash differs";
  return isCanonical(event.data) ? undefined : "its data is not canonical JSON";
}

function problemOfContent({ content, contentSalt }: StoredEvent, meta: Meta): string | undefined {
  // Whether content may be missing is the log's to say; its salt has to go with it, or the content could be
  // guessed.
  if (content === null) return contentSalt === null ? undefined : "it has a salt, but no content";
  if (contentSalt === null || saltedHash(contentSalt, content) !== meta.contentHash)
    return "its content is not what was recorded: the hash differs";
  return isCanonical(content) ? undefined : "its content is not canonical JSON";
}

function problemOfLeaf(ledger: string, event: StoredEvent): string | undefined {
  const leaf = leafHash(encodeLeaf(ledger, { ...event, metaJson: event.meta }));
  return Buffer.compare(leaf, event.leaf) === 0 ? undefined : "its leaf hash does not match what is stored";
}
