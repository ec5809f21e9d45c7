import type { AppendReq, BatchAppendReq } from "@eventstore/db-client/generated/streams_pb.js";
import type { Proposed } from "./encoding.ts";
import { idOf, streams } from "./protocol.ts";
import type { Expected } from "./stored-streams.ts";

/** Of one append all events together, data and metadata and names. */
export const APPEND_BYTES_MAX = 1024 * 1024;

/** An append as far as it has arrived. */
export type Append = { stream: string; expected: Expected; events: Proposed[]; bytes: number };

/** Adds an event; what is missing in it, or nothing. */
export function add(
  append: Append,
  message: AppendReq.ProposedMessage | BatchAppendReq.ProposedMessage,
): string | undefined {
  const told = message.getMetadataMap();
  const type = told.get("type");
  const contentType = told.get("content-type");
  if (type === undefined) return "type";
  if (contentType === undefined) return "content-type";
  const data = message.getData_asU8();
  const metadata = message.getCustomMetadata_asU8();
  append.events.push({ id: idOf(message.getId()), type, contentType, data, metadata });
  append.bytes += data.byteLength + metadata.byteLength + 2 * type.length; // Two bytes for each character.
  return undefined;
}

const { ExpectedStreamRevisionCase: Unary } = streams.AppendReq.Options;
const { ExpectedStreamPositionCase: Batch } = streams.BatchAppendReq.Options;

/** What an append expects; undefined where it does not say it. */
export function unaryExpected(options: AppendReq.Options): Expected | undefined {
  const kind = options.getExpectedStreamRevisionCase();
  if (kind === Unary.REVISION) return Number(options.getRevision());
  if (kind === Unary.NO_STREAM) return -1;
  if (kind === Unary.STREAM_EXISTS) return "stream_exists";
  return kind === Unary.ANY ? "any" : undefined;
}

export function batchExpected(options: BatchAppendReq.Options): Expected | undefined {
  const kind = options.getExpectedStreamPositionCase();
  if (kind === Batch.STREAM_POSITION) return Number(options.getStreamPosition());
  if (kind === Batch.NO_STREAM) return -1;
  if (kind === Batch.STREAM_EXISTS) return "stream_exists";
  return kind === Batch.ANY ? "any" : undefined;
}

/** Why nobody can write there; undefined where somebody can. */
export const wrongName = (stream: string): string | undefined =>
  stream === "" || stream === "$$" || stream === "$all"
    ? `'${stream}' is not the name of a stream that can be written to`
    : undefined;
