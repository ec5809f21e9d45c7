import type { Parked, ViewState, ViewStatus } from "./row-store.ts";

/** A stored row, its columns in the order they were asked for. */
export type Values = readonly unknown[];

/** What a checkpoint is stored in. */
export const checkpointColumns = [
  "name",
  "version",
  "state",
  "position",
  "leafHash",
  "eventsSeen",
  "digest",
  "clockMs",
] as const;

export const parkedColumns = ["name", "version", "id", "position", "reason"] as const;

const bytesOf = (stored: unknown): Uint8Array => {
  const { buffer, byteOffset, byteLength } = stored as Uint8Array; // As every store declares it.
  return new Uint8Array(buffer, byteOffset, byteLength);
};

/** Positions come as bigints; other whole numbers as either. */
export const statusOf = ([
  name,
  version,
  state,
  position,
  leafHash,
  eventsSeen,
  digest,
  clockMs,
]: Values): ViewStatus => ({
  name: String(name),
  version: Number(version),
  state: state as ViewState,
  position: position as bigint,
  leafHash: bytesOf(leafHash),
  eventsSeen: Number(eventsSeen),
  digest: bytesOf(digest),
  clockMs: Number(clockMs),
});

export const parkedOf = ([name, version, id, position, reason]: Values): Parked => ({
  name: String(name),
  version: Number(version),
  id: String(id),
  position: position as bigint,
  reason: String(reason),
});
