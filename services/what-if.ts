import { parseArgs } from "node:util";
import { openRecordedDeliveries } from "../shared/domain/delivery/recorded.ts";
import {
  type Outcome,
  parseSchedule,
  type RetryPolicy,
  totalsOf,
  whatIf,
} from "../shared/domain/delivery/what-if.ts";
import { runCommand } from "../shared/platform/command.ts";
import { StartupError } from "../shared/platform/errors.ts";
import { streamOf } from "../shared/verification/ids.ts";
import { parseMeta } from "../shared/verification/stored-event.ts";
import { openSource } from "./copying.ts";

const usage =
  "usage: npm run what-if -- --endpoint <id> --schedule 0,5s,1m,… " +
  "[--attempts-max <n>] [--folder <data>] [--each]";

/** `npm run what-if`: how an endpoint's deliveries would have gone by another schedule, from what the log has
 *  of how it answered. Nothing is changed and nothing is sent; the server may run. */
await runCommand(async ({ config, args, say, note }) => {
  const { endpoint, folder, instead, each } = asked(args);
  const source = await openSource(folder === undefined ? config : onFolder(config, folder));
  const recorded = openRecordedDeliveries(streamOf(endpoint), endpoint);
  let endMs = 0;
  try {
    for await (const { id, type, stream, data, meta } of source.events()) {
      endMs = Math.max(endMs, Date.parse(parseMeta(meta).recordedAt));
      if (!/^(run|endpoint|delivery)-/.test(stream)) continue;
      recorded.take({
        id,
        type,
        stream,
        atMs: Date.parse(parseMeta(meta).recordedAt),
        data: JSON.parse(data),
      });
    }
  } finally {
    await source.close();
  }
  if (!recorded.isKnown()) throw new StartupError(`the log has no endpoint ${endpoint}`);
  const deliveries = recorded.deliveries();
  const { recorded: was, a, b } = whatIf(deliveries, recorded.answers(), instead, endMs);
  if (each) for (const [index, one] of b.entries()) say(line(one, a[index], was[index]));
  say(`${deliveries.length} deliveries, ${recorded.answers().length} answers`);
  const rows: [string, readonly Outcome[]][] = [
    ["recorded", was],
    ["A, reckoned", a],
    ["B, reckoned", b],
  ];
  for (const [name, outcomes] of rows) say(`${name.padEnd(12)} ${totals(outcomes)}`);
  note(
    "reckoned: an endpoint answers as it did the last time before; no jitter, no Retry-After, no throttling",
  );
  return 0;
});

function asked(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        endpoint: { type: "string" },
        schedule: { type: "string" },
        "attempts-max": { type: "string" },
        folder: { type: "string" },
        each: { type: "boolean", default: false },
      },
    });
    const { endpoint, schedule, folder, each, "attempts-max": most } = values;
    const scheduleMs = schedule === undefined ? undefined : parseSchedule(schedule);
    const attemptsMax = most === undefined ? scheduleMs?.length : Number(most);
    const isCount = attemptsMax !== undefined && Number.isInteger(attemptsMax) && attemptsMax >= 1;
    if (endpoint === undefined || !/^endpoint_[0-9a-z]{26}$/.test(endpoint) || !scheduleMs || !isCount)
      throw new TypeError("something is missing");
    const instead: RetryPolicy = { scheduleMs, attemptsMax };
    return { endpoint, folder, instead, each };
  } catch (error) {
    throw new StartupError(usage, { cause: error });
  }
}

function onFolder<Config extends { data: string; eventStoreDb?: unknown }>(
  config: Config,
  data: string,
): Config {
  const { eventStoreDb: _, ...rest } = config;
  return { ...rest, data } as Config; // What is left out may be.
}

function line(b: Outcome, a: Outcome | undefined, was: Outcome | undefined): string {
  return [b.id.replace("-", "_"), `recorded ${told(was)}`, `A ${told(a)}`, `B ${told(b)}`].join("; ");
}

function told(one: Outcome | undefined): string {
  const delay = one?.delayMs === undefined ? "" : ` in ${seconds(one.delayMs)}`;
  return `${one?.result} after ${one?.attempts}${delay}`;
}

function seconds(ms: number | null): string {
  return ms === null ? "-" : `${ms / 1000} s`;
}

function totals(outcomes: readonly Outcome[]): string {
  const { attempts, delivered, exhausted, open, medianMs, p99Ms } = totalsOf(outcomes);
  return [
    `${attempts} attempts`,
    `${delivered} delivered`,
    `${exhausted} exhausted`,
    `${open} open`,
    `median ${seconds(medianMs)}`,
    `p99 ${seconds(p99Ms)}`,
  ].join(", ");
}
