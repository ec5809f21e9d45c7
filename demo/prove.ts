import type { Book } from "./book.ts";
import type { Event, Gathered } from "./gather.ts";
import type { Claim } from "./report.ts";

type Circumstances = { openAtKill: number; exitCode: number | null };

/** What this endpoint is owed: the ends of all runs, and every wait. */
const owing = /^run\.(completed|failed|awaiting_input)$/;
const place = ({ runId, revision }: { runId: string; revision: number }): string => `${runId}/${revision}`;

/** How many of a run's events are there, by run. */
function countByRun(events: readonly Event[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { stream } of events) counts.set(stream, (counts.get(stream) ?? 0) + 1);
  return counts;
}

/** What was answered with 201 is in the log, and nothing is in it that nobody recorded. */
function proveLog({ events }: Gathered, { acknowledged, done }: Book): Claim[] {
  const there = new Map(events.map((event) => [place({ runId: event.stream, ...event }), event]));
  const kept = acknowledged.filter((told) => {
    const event = there.get(place(told));
    return event?.type === told.type && (told.id === undefined || told.id === event.id);
  });
  const answered = new Set(acknowledged.map(place));
  const others = events.filter((event) => !answered.has(place({ runId: event.stream, ...event })));
  const own = others.filter(({ meta }) => meta.actor.type === "system").length;
  const gapless = [...countByRun(events)].every(([run, count]) =>
    events.some(({ stream, revision }) => stream === run && revision === count - 1),
  );
  const all = kept.length === acknowledged.length;
  return [
    { ok: all, text: `acknowledged: ${acknowledged.length} events, of which ${kept.length} are in the log` },
    {
      ok: others.length === own && gapless && events.length === answered.size + own,
      text:
        `recorded: ${events.length} events = ${answered.size} acknowledged + ${own} of the ledger itself; ` +
        `${gapless ? "no" : "with"} gaps`,
    },
    {
      ok: done !== undefined,
      text:
        `while the server was away ${done?.retried} requests were sent again; ` +
        `${done?.replayed} of them had been recorded and got the same answer`,
    },
  ];
}

/** The views show every event of the log, and what everybody expects who saw it happen. */
function proveViews({ events, runs, viewPosition }: Gathered): Claim[] {
  const counts = countByRun(events);
  const right = runs.filter(({ id, revision }) => counts.get(id) === revision + 1).length;
  const head = events.at(-1)?.position ?? "0";
  const shown = (name: string) => {
    const run = runs.find(({ recipient, workflow }) => (recipient ?? workflow) === name);
    return `${run?.status} ${run?.errorCount} ${run?.attempt}`;
  };
  const parent = runs.find(({ workflow, parentId }) => workflow === "notify" && parentId === null);
  const asHappened =
    shown("release-check") === "completed 2 3" &&
    shown("chloe") === "completed 2 3" &&
    shown("eve") === "failed 4 3" &&
    ["ada", "ben", "dev"].every((name) => shown(name) === "completed 0 1") &&
    parent?.status === "failed" &&
    JSON.stringify(parent.recipientRuns?.byStatus) === JSON.stringify({ completed: 4, failed: 1 }) &&
    parent.recipientRuns?.withErrors === 2;
  return [
    {
      ok: right === runs.length && runs.length === counts.size && BigInt(viewPosition) >= BigInt(head),
      text: `projected: ${right} of ${counts.size} runs have as many events as their views have seen`,
    },
    { ok: asHappened, text: "statuses, error counts and attempts are those that really happened" },
  ];
}

/** Whatever was owed arrived, signed, with the same bytes each time, and twice only where nobody could
 *  know. */
function proveDeliveries({ events, deliveries }: Gathered, { received }: Book): Claim[] {
  const owed = events.filter(({ type }) => owing.test(type));
  const arrived = owed.filter(({ id, hash }) => {
    const delivery = deliveries.find(({ event }) => event.id === id);
    const told = received.filter((one) => one.verified && one.event === id && one.hash === hash);
    return delivery?.status === "delivered" && told.some((one) => one.id === delivery.id);
  });
  const ids = new Set(received.map(({ id }) => id));
  const bodies = new Set(received.map(({ id, sha256 }) => `${id} ${sha256}`));
  const verified = received.filter((one) => one.verified).length;
  const again = received.filter((one) => one.again);
  const unknown = deliveries.filter(({ attempts }) => attempts.some(({ outcome }) => outcome === "unknown"));
  const excused = again.every(({ id }) => unknown.some((delivery) => delivery.id === id));
  return [
    {
      ok: arrived.length === owed.length && deliveries.length === owed.length,
      text: `owed: ${owed.length} deliveries, of which ${arrived.length} arrived, each with its event's hash`,
    },
    {
      ok: verified === received.length,
      text: `${verified} of ${received.length} requests carried a valid signature`,
    },
    {
      ok: bodies.size === ids.size,
      text: `the same bytes for the same webhook-id: ${ids.size} ids, ${bodies.size} bodies`,
    },
    {
      ok: excused,
      text:
        `${again.length} came again, ${excused ? "only" : "not only"} ` +
        "where an attempt was in flight at the kill",
    },
  ];
}

/** Everything that must be true at the end. */
export function prove(gathered: Gathered, book: Book, { openAtKill, exitCode }: Circumstances): Claim[] {
  return [
    ...proveLog(gathered, book),
    ...proveViews(gathered),
    ...proveDeliveries(gathered, book),
    {
      ok: openAtKill > 0,
      text: `the server was killed in the middle: ${openAtKill} recipient runs were open`,
    },
    { ok: exitCode === 0, text: "after SIGTERM the server ended with 0" },
  ];
}
