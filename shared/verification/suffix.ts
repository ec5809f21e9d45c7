import { randomFillSync } from "node:crypto";

const DIGITS = "0123456789abcdefghjkmnpqrstvwxyz";
/** Two digits for ten bits: half as many pieces to put together. */
const PAIRS: readonly string[] = Array.from(
  { length: 1024 },
  (_, bits) => DIGITS.charAt(bits >> 5) + DIGITS.charAt(bits & 31),
);

const pair = (bits: number): string => PAIRS[bits & 1023] ?? "";

/** Eight digits for forty bits, given as one byte and the four after it. */
const eight = (high: number, low: number): string =>
  pair((high << 2) | (low >>> 30)) + pair(low >>> 20) + pair(low >>> 10) + pair(low);

/** 16 bytes as 26 digits of Crockford's base 32: the suffix of a TypeID. */
export function suffix(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  return (
    pair(view.getUint8(0)) +
    eight(view.getUint8(1), view.getUint32(2)) +
    eight(view.getUint8(6), view.getUint32(7)) +
    eight(view.getUint8(11), view.getUint32(12))
  );
}

/** Randomness is fetched for many ids at once: asking for ten bytes costs as much as for thousands. */
const pool = Buffer.alloc(10 * 400);
let used = pool.length;
let lastMs = -1;
let lastTime = "";

/** The suffix around a new UUIDv7 (RFC 9562): the millisecond, then 74 random bits. */
export function newSuffix(nowMs: number = Date.now()): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  if (nowMs !== lastMs) {
    lastTime = pair(Math.floor(nowMs / 2 ** 40)) + eight(Math.floor(nowMs / 2 ** 32), nowMs >>> 0);
    lastMs = nowMs;
  }
  const at = used;
  used += 10;
  const version = 0x70 | (pool.readUInt8(at) & 0x0f);
  const variant = 0x80 | (pool.readUInt8(at + 2) & 0x3f);
  const first = ((pool.readUInt8(at + 1) << 24) | (variant << 16) | pool.readUInt16BE(at + 3)) >>> 0;
  return lastTime + eight(version, first) + eight(pool.readUInt8(at + 5), pool.readUInt32BE(at + 6));
}
