import { isMainThread } from "node:worker_threads";
import {
  type DestinationStream,
  destination,
  type Logger,
  pino,
  stdSerializers,
  stdTimeFunctions,
} from "pino";
import { version } from "./version.ts";

/** One JSON line for each unit of work: the message is the event's name, the fields are ids and the
 *  outcome. */
export type Log = Logger;

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type LogOptions = {
  level: LogLevel;
  /** Standard output unless given. */
  destination?: DestinationStream;
};

/** Opens the log. Lines are written behind the work and those that wait are written out when the process
 *  ends, by a fault too; only SIGKILL can take the last ones. Members that are named like a secret are left
 *  out, at every depth, and what looks like one of our secrets is left out of every text. */
export function openLog({ level, destination: stream = standardOutput() }: LogOptions): Log {
  return pino(
    {
      level,
      base: { service: "runledger", version },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: hideMembers },
      // What is wrong was made plain already, with its causes.
      serializers: { err: (error: unknown) => error },
      hooks: { streamWrite: hideTexts },
    },
    stream,
  );
}

/** How long a line may wait for others to be written with. */
const WAIT_MS = 100;
const TOGETHER_BYTES = 8192;

/** Lines are written many at a time: one write for each costs more than what it tells of. Each write is over
 *  before the work goes on, so that lines stay in order whenever the process ends. A worker ends without a
 *  last word: its lines do not wait. */
function standardOutput(): DestinationStream {
  if (!isMainThread) return destination({ dest: 1, sync: true });
  const output = destination({ dest: 1, sync: true, minLength: TOGETHER_BYTES });
  const timer = setInterval(() => output.flush(), WAIT_MS).unref();
  output.once("close", () => clearInterval(timer));
  process.once("exit", () => output.flushSync());
  return output;
}

const HIDDEN = "[hidden]";
const SECRET_WORD = [
  "(?:(?:api|secrets?|signing|sealing|first|private)[-_]?)?key",
  "[\\w-]*(?:authorization|cookie|secret|token|password)s?",
].join("|");
const SECRET_NAME = new RegExp(`^(?:${SECRET_WORD})$`, "i");
/** API keys, signing secrets, and tokens of a header that was taken into a text. */
const SECRET_TEXT =
  /\brl_[a-z0-9-]{1,32}_[a-z0-9]{10}_\w{20,}|\bwhs(?:ec|k)_[\w+/=-]+|\bbearer +[\w.~+/=-]{16,}/gi;

/** What a child is bound to does not pass by `hideMembers`: its texts are found in the line, by their
 *  names. */
const SECRET_MEMBER = new RegExp(`"(${SECRET_WORD})":"(?:[^"\\\\]|\\\\.)*"`, "gi");

/** One of these words is in every secret and in every name of one: most lines have none and pass at once. */
const SUSPICIOUS = /rl_|whs|bearer|key"|authorization|cookie|secret|token|password/i;

const hideTexts = (line: string): string =>
  SUSPICIOUS.test(line) ? line.replace(SECRET_MEMBER, `"$1":"${HIDDEN}"`).replace(SECRET_TEXT, HIDDEN) : line;

/** Deeper than this nothing is shown: a line is no place for a document. */
const DEPTH_MAX = 6;

/** Most lines have nothing to hide and nothing to show another way: they pass as they are. */
const hideMembers = (fields: Record<string, unknown>): Record<string, unknown> =>
  isPlain(fields) ? fields : hideIn(fields, 1);

function isPlain(fields: Record<string, unknown>): boolean {
  for (const name of Object.keys(fields)) {
    const type = typeof fields[name];
    if (type === "object" || type === "bigint" || isSecret(name)) return false;
  }
  return true;
}

function hideIn(fields: object, depth: number): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    shown[name] = isSecret(name) ? HIDDEN : show(value, depth);
  }
  return shown;
}

/** Names of members come from our own code, so they are few and soon all known. */
const judged = new Map<string, boolean>();

function isSecret(name: string): boolean {
  const known = judged.get(name);
  if (known !== undefined) return known;
  const verdict = SECRET_NAME.test(name);
  if (judged.size < 1_000) judged.set(name, verdict);
  return verdict;
}

function show(value: unknown, depth: number): unknown {
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  if (depth >= DEPTH_MAX) return "[deeper]";
  if (value instanceof Error) return hideIn(stdSerializers.err(value), depth + 1);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.map((item) => show(item, depth + 1));
  return hideIn(value, depth + 1);
}
