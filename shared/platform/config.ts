import { resolve } from "node:path";
import { z } from "zod";
import { Engines, type EnginesConfig, engineProblems, engines, enginesOf } from "./engines.ts";
import { StartupError } from "./errors.ts";
import { type ExcerptDays, excerptDays, excerptDaysOf, excerptProblems } from "./excerpt-days.ts";
import { LOG_LEVELS } from "./log.ts";
import { parseTracing, type TracingConfig } from "./tracing-config.ts";
import {
  apiKey,
  cidrs,
  folder,
  host,
  integer,
  isLoopback,
  key32,
  oneOf,
  origins,
  proxy,
} from "./variables.ts";

const PREFIX = "RUNLEDGER_";
const KIB = 1024;
const DAY_MS = 86_400_000;

/** What the log format promises can only be asked for more strictly: others must be able to read every
 *  log. */
const upTo = (min: number, max: number) => integer(min, max, ", the log format's own limit").default(max);
const from = (min: number, usual: number) => integer(min).default(usual);

/** Every limit, as `RUNLEDGER_<NAME>`: `eventBytesMax` is RUNLEDGER_EVENT_BYTES_MAX. */
const limits = {
  eventBytesMax: upTo(KIB, 256 * KIB),
  /** A parent's `run.created` holds all its recipients. */
  parentEventBytesMax: upTo(KIB, 768 * KIB),
  appendEventsMax: upTo(1, 100),
  appendBytesMax: upTo(KIB, 768 * KIB),
  /** The last 100 are kept for a run's end. */
  runEventsMax: upTo(101, 10_000),
  /** The shortest that can be asked for still takes a UUID. */
  commandIdLengthMax: upTo(36, 255),
  batchItemsMax: from(1, 1000),
  batchBytesMax: from(KIB, 8 * KIB * KIB),
  bodyBytesMax: from(KIB, KIB * KIB),
  recipientsMax: from(1, 1000),
  pageSizeMax: from(1, 100),
  metadataKeysMax: from(0, 64),
  endpointsMax: from(0, 1000),
  webhookBodyBytesMax: from(KIB, 256 * KIB),
  /** Appends that wait for a commit. */
  appendQueueMax: from(1, 10_000),
  /** Webhooks that are being sent, to all endpoints and to one. */
  inFlightMax: from(1, 64),
  inFlightPerEndpointMax: from(1, 8),
};

const general = {
  host: host.default("127.0.0.1"),
  port: integer(0, 65_535).default(8080),
  data: folder.default(() => resolve("data")),
  firstKey: apiKey.optional(),
  secretsKey: key32.optional(),
  /** What the vault is sealed under by `npm run reseal`. */
  secretsKeyNext: key32.optional(),
  webhookAllow: cidrs.optional(),
  webhookProxy: proxy.optional(),
  corsOrigins: origins.default([]),
  excerptDays: excerptDays.optional(),
  shutdownMs: integer(0, DAY_MS).default(10_000),
  logLevel: oneOf(LOG_LEVELS).default("info"),
};

const General = z.object(general);
const Limits = z.object(limits);
export type Limits = Readonly<z.infer<typeof Limits>>;
export type Config = Readonly<z.infer<typeof General>> &
  EnginesConfig & {
    /** Networks that webhooks may reach by `http` and though they are private, as CIDRs. */
    readonly webhookAllow: readonly string[];
    /** For how many days excerpts of answers are kept, by class. */
    readonly excerptDays: ExcerptDays;
    /** Whether only this machine can reach the API. */
    readonly isLoopback: boolean;
    readonly limits: Limits;
    /** Absent where nobody asked for traces. */
    readonly tracing?: TracingConfig;
  };

const nameOf = (setting: string): string =>
  PREFIX + setting.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
const settings = new Map(
  Object.keys({ ...general, ...engines, ...limits }).map((setting) => [nameOf(setting), setting]),
);
/** Of these no value is ever shown. */
const SECRET = new Set(
  [
    ...["firstKey", "secretsKey", "secretsKeyNext", "webhookProxy"],
    ...["eventStoreUrl", "postgresUrl", "kafkaPassword"],
  ].map(nameOf),
);

type Environment = Readonly<Record<string, string | undefined>>;

/** The configuration, of `RUNLEDGER_…` variables and, for traces, of OpenTelemetry's own; a StartupError says
 *  everything that is wrong with them, in one line. */
export function parseConfig(env: Environment): Config {
  const given: Record<string, string> = {};
  const problems: string[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || value === undefined) continue;
    const setting = settings.get(name);
    if (setting === undefined) problems.push(unknownVariable(name));
    else given[setting] = value;
  }
  const parsed = [General.safeParse(given), Engines.safeParse(given), Limits.safeParse(given)] as const;
  for (const { path, message } of parsed.flatMap(({ error }) => error?.issues ?? []))
    problems.push(wrongValue(nameOf(String(path[0])), message, env));
  const [some, servers, rest] = parsed;
  if (servers.success) problems.push(...engineProblems(servers.data, given.secretsKey !== undefined));
  // What is not sealed can be erased only where it can be overwritten.
  const canErase = servers.data?.eventStore === "sqlite" || servers.data?.sealContent === true;
  if (servers.success) problems.push(...excerptProblems(some.data?.excerptDays, canErase));
  const traces = parseTracing(env);
  problems.push(...traces.problems);
  if (!some.success || !servers.success || !rest.success || problems.length > 0)
    throw new StartupError(problems.join("; "));
  const loopback = isLoopback(some.data.host);
  return {
    ...some.data,
    ...enginesOf(servers.data),
    webhookAllow: some.data.webhookAllow ?? (loopback ? ["127.0.0.0/8", "::1/128"] : []),
    excerptDays: excerptDaysOf(some.data.excerptDays, canErase),
    isLoopback: loopback,
    limits: possible(rest.data),
    ...(traces.tracing ? { tracing: traces.tracing } : {}),
  };
}

/** An event that fits no append would be a promise that nobody can keep. */
const possible = (asked: Limits): Limits => ({
  ...asked,
  eventBytesMax: Math.min(asked.eventBytesMax, asked.appendBytesMax),
  parentEventBytesMax: Math.min(asked.parentEventBytesMax, asked.appendBytesMax),
});

function wrongValue(
  name: string,
  message: string,
  env: Readonly<Record<string, string | undefined>>,
): string {
  if (SECRET.has(name)) return `${name} ${message}`;
  const value = JSON.stringify(env[name]);
  return `${name} ${message}, not ${value.length > 80 ? `${value.slice(0, 80)}…` : value}`;
}

function unknownVariable(name: string): string {
  const [closest] = [...settings.keys()]
    .map((known) => ({ known, away: distance(name.toUpperCase(), known) }))
    .sort((a, b) => a.away - b.away);
  const near = Math.min(4, (name.length - PREFIX.length) / 2);
  const hint = closest && closest.away <= near ? `: did you mean ${closest.known}?` : "";
  return `${name} is not a variable of Runledger${hint}`;
}

/** How many letters must be added, removed or replaced (Levenshtein). */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let at = 1; at <= one.length; at++) {
    const next = [at];
    for (let to = 1; to <= other.length; to++) {
      const replaced = (row[to - 1] ?? 0) + (one[at - 1] === other[to - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[to] ?? 0) + 1, (next[to - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}
