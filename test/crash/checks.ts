import { createHash } from "node:crypto";
import { expect } from "vitest";
import { derivedId, streamOf } from "../../shared/verification/ids.ts";
import type { Client, Created, EventJson, RecordedAnswer } from "../support/client.ts";
import type { Receiver } from "../support/receiver.ts";
import type { Dump } from "../support/views.ts";
import type { Book, Sent } from "./book.ts";
import type { BatchAnswer } from "./stories.ts";

/** Every event of runs, and of deliveries, as the log has them now. */
export async function readLog({ events }: Client) {
  const [runs, attempts] = [await events(), await events("&type=delivery.attempted&type=delivery.responded")];
  return { runs, attempts, cancelled: await events("&type=delivery.cancelled") };
}
export type Log = Awaited<ReturnType<typeof readLog>>;

/** What one command was told: events with their places, and runs. */
function toldBy({ path, answer }: Sent): { events: RecordedAnswer["events"]; runs: string[] } {
  const body = answer?.body;
  // What stands behind each path is what the API answers there.
  if (path === "/v1/runs") {
    const { run, recipientRuns } = body as Created;
    return { events: [], runs: [run.id, ...recipientRuns.map(({ id }) => id)] };
  }
  if (path !== "/v1/events") return { events: (body as RecordedAnswer).events, runs: [] };
  const items = (body as BatchAnswer & { items: RecordedAnswer["events"] }).items;
  return { events: items, runs: [] };
}

/** Everything acknowledged is there as it was answered, and nothing else is: each command was carried out
 *  once. */
export function checkAcknowledged({ sent, unexpected }: Book, { runs }: Log): void {
  expect(unexpected).toEqual([]);
  const told = sent.map(toldBy);
  const byId = new Map(runs.map((event) => [event.id, event]));
  const place = ({ id, type, revision, position }: RecordedAnswer["events"][number]) =>
    `${id} ${type} ${revision} ${position}`;
  const acknowledged = told.flatMap(({ events }) => events);
  const missing = acknowledged.filter((event) => {
    const recorded = byId.get(event.id);
    return recorded === undefined || place(recorded) !== place(event);
  });
  expect(missing).toEqual([]);

  const ids = new Set(acknowledged.map(({ id }) => id));
  const streams = new Set(told.flatMap(({ runs: made }) => made));
  const never = runs.filter(({ id, stream, type, meta }) => {
    const byProducer = (meta.actor as { type: string }).type === "api_key";
    return byProducer && !ids.has(id) && !(type === "run.created" && streams.has(stream));
  });
  expect(never).toEqual([]);
  expect(new Set(runs.map(({ id }) => id)).size).toBe(runs.length);
  expect(runs.every(({ position }, index) => BigInt(position) > BigInt(runs[index - 1]?.position ?? 0))).toBe(
    true,
  );
}

const terminal = /^run\.(completed|completed_no_action|failed|errored|rejected|cancelled|timed_out|aborted)$/;
const ended = (runs: readonly EventJson[]) =>
  new Set(runs.filter(({ type }) => terminal.test(type)).map(({ stream }) => stream));

/** Runs that have not ended yet. */
export function openRuns(runs: readonly EventJson[]): string[] {
  const over = ended(runs);
  return [...new Set(runs.map(({ stream }) => stream))].filter((stream) => !over.has(stream));
}

export type Endpoint = { id: string; recipientRuns: boolean };

const over = /^run\.(input_given|approved|rejected|resumed)$/;

/** Whether the wait that an event tells of has ended since. */
const isOver = ({ stream, revision, data }: EventJson, runs: readonly EventJson[]): boolean =>
  runs.some(
    (event) =>
      event.stream === stream &&
      event.revision > revision &&
      (terminal.test(event.type) ||
        (over.test(event.type) && (event.data.waitId ?? data.waitId) === data.waitId)),
  );

/** What is owed and still to be sent, worked out from the log as the format says, without our own
 *  projections: nobody is asked for an answer that is there. */
export function owed(
  ledger: string,
  { runs, cancelled }: Log,
  endpoints: readonly Endpoint[],
): Map<string, EventJson> {
  const recipients = new Set(
    runs.filter(({ data }) => data.recipientIndex !== undefined).map(({ stream }) => stream),
  );
  const all = new Map<string, EventJson>();
  for (const event of runs) {
    const waits = /^run\.awaiting_(input|approval)$/.test(event.type);
    if (!waits && !terminal.test(event.type)) continue;
    for (const { id, recipientRuns } of endpoints) {
      if (recipients.has(event.stream) && !waits && !recipientRuns) continue;
      const scope = `dispatcher ${streamOf(id)}`;
      const of = {
        ledger,
        workspace: "default",
        prefix: "delivery",
        scope,
        commandId: event.id,
        index: 0,
      } as const;
      all.set(derivedId(of), event);
    }
  }
  for (const { stream, data } of cancelled) {
    const event = all.get(stream);
    expect([data.reason, event && isOver(event, runs)], stream).toEqual(["superseded", true]);
    all.delete(stream);
  }
  return all;
}

/** Every owed delivery arrived, always with the same bytes, and more than once only where nobody could
 *  know. */
export function checkDeliveries(
  owing: ReadonlyMap<string, EventJson>,
  { attempts, cancelled }: Log,
  { received }: Receiver,
  killedAtMs: readonly number[],
): { arrived: number; unknown: number; again: number } {
  const arrivals = Map.groupBy(received, ({ id }) => id);
  for (const { stream } of cancelled) arrivals.delete(stream); // One may have been attempted before.
  expect([...arrivals.keys()].filter((id) => !owing.has(id))).toEqual([]);
  const streams = Map.groupBy(attempts, ({ stream }) => stream);
  let [unknown, again] = [0, 0];
  for (const [id, event] of owing) {
    const arrived = arrivals.get(id) ?? [];
    const events = streams.get(id) ?? [];
    const made = events.filter(({ type }) => type === "delivery.attempted");
    const responses = events.filter(({ type }) => type === "delivery.responded");
    const hashes = arrived.map(({ raw }) => createHash("sha256").update(raw).digest("hex"));
    expect(new Set([...hashes, ...made.map(({ data }) => data.bodySha256)]).size, id).toBe(1);
    expect(arrived[0]?.body, id).toMatchObject({
      id,
      type: event.type,
      ledger: { event: event.id, hash: event.hash },
    });
    expect(responses.at(-1)?.data.outcome, id).toBe("delivered");
    expect(made.map(({ data }) => data.attempt)).toEqual(made.map((_, index) => index + 1));

    const silent = made.filter(({ data }) => !responses.some((each) => each.data.attempt === data.attempt));
    const taken = arrived.filter(({ answered }) => typeof answered === "object" && answered.status === 204);
    expect(arrived.length, id).toBeGreaterThanOrEqual(responses.length);
    expect(arrived.length, id).toBeLessThanOrEqual(made.length);
    expect(taken.length, id).toBeLessThanOrEqual(1 + silent.length);
    for (const { data, meta } of silent) {
      const next = made[Number(data.attempt)];
      // It is repeated at the place in the schedule that it had.
      expect(next?.data.scheduleStep, id).toBe(data.scheduleStep);
      const between = (atMs: number) =>
        Date.parse(String(meta.at)) <= atMs && atMs <= Date.parse(String(next?.meta.at));
      expect(
        killedAtMs.some(between),
        `${id}, attempt ${data.attempt}: unknown, and nothing was killed`,
      ).toBe(true);
    }
    unknown += silent.length;
    again += taken.length - 1;
  }
  return { arrived: arrivals.size, unknown, again };
}

/** The first rows that differ between two states of the views; none where they are equal, column by
 *  column. */
export function differences(one: Dump, other: Dump): unknown[] {
  const text = (row: unknown) =>
    JSON.stringify(row, (_, value: unknown) =>
      typeof value === "bigint"
        ? `${value}`
        : ArrayBuffer.isView(value)
          ? Buffer.from(value.buffer).toString("hex")
          : value,
    );
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...names].flatMap((name) => {
    const [left, right] = [one[name] ?? [], other[name] ?? []];
    const rows = Array.from({ length: Math.max(left.length, right.length) }, (_, index) => index);
    const differ = rows.filter((index) => text(left[index]) !== text(right[index]));
    return differ
      .slice(0, 3)
      .map((index) => ({ name, live: text(left[index]), rebuilt: text(right[index]) }));
  });
}
