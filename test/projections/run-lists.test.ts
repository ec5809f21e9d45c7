import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openProjector } from "../../projections/projector.ts";
import { listRecipientRuns } from "../../projections/recipient-runs/recipient-runs.table.ts";
import { type Cursor, spanClass } from "../../projections/row-store.ts";
import {
  countRecipientRuns,
  listOpenParents,
  listRuns,
  type RunFilter,
  type RunRow,
} from "../../projections/runs/runs.table.ts";
import { foldRun } from "../../projections/runs/runs.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { recipientKey } from "../../shared/domain/run/recipients.ts";
import { streamOf } from "../../shared/verification/ids.ts";
import { recordTries, tries } from "../support/histories.ts";
import { openMemoryEventStore } from "../support/memory-event-store.ts";
import { idOf, recorder } from "../support/recording.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { allProjections, openRows } from "../support/views.ts";

const startMs = Date.parse("2026-01-01T00:00:00.000Z");
const instant = fc.integer({ min: -5, max: 100 }).map((tick) => startMs + tick * 7);
const filters = fc.record(
  {
    workflow: fc.constantFrom("w0", "w1", "w9"),
    status: fc.subarray(["pending", "running", "failed", "cancelled", "awaiting_input", "paused"] as const),
    recipient: fc.constantFrom("r3", "r4", "nobody", { id: "r", collection: "c" }),
    hasErrors: fc.boolean(),
    parentId: fc.constantFrom(idOf("run", 0), idOf("run", 9)),
    createdFromMs: instant,
    createdToMs: instant,
    updatedFromMs: instant,
    updatedToMs: instant,
  },
  { requiredKeys: [] },
);

/** Each run's row, folded from its own events. */
function rowsOf(events: readonly RecordedEvent[]): RunRow[] {
  const streams = Map.groupBy(
    events.filter(({ stream }) => stream.startsWith("run-")),
    ({ stream }) => stream,
  );
  return [...streams.values()].flatMap((stream) => foldRun(stream) ?? []);
}

const keep = (filter: RunFilter) => (row: RunRow) =>
  (filter.workflow === undefined || row.workflow === filter.workflow) &&
  (filter.status === undefined || filter.status.includes(row.status)) &&
  (filter.recipient === undefined ||
    (row.recipient !== undefined && recipientKey(row.recipient) === recipientKey(filter.recipient))) &&
  (filter.hasErrors === undefined || row.errorCount > 0 === filter.hasErrors) &&
  (filter.parentId === undefined || row.parentId === filter.parentId) &&
  Date.parse(row.createdAt) >= (filter.createdFromMs ?? 0) &&
  Date.parse(row.createdAt) < (filter.createdToMs ?? Number.POSITIVE_INFINITY) &&
  Date.parse(row.updatedAt) >= (filter.updatedFromMs ?? 0) &&
  Date.parse(row.updatedAt) < (filter.updatedToMs ?? Number.POSITIVE_INFINITY);

describe("lists of runs", () => {
  it("hold what a plain filter of all rows would, page by page, whatever is asked", {
    timeout: 60_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(tries(80), fc.array(filters, { minLength: 10, maxLength: 20 }), async (all, asked) => {
        const store = openMemoryEventStore();
        await recordTries(store, all);
        const rows = await openRows(temporaryFolder());
        await (await openProjector({ store, rows, projections: await allProjections(store) })).catchUp();
        const known = rowsOf(store.events).sort((a, b) => (a.createdPosition < b.createdPosition ? 1 : -1));
        for (const filter of asked)
          for (const [list, read] of [
            ["runs", listRuns],
            ["recipient_runs", listRecipientRuns],
          ] as const) {
            const seen: string[] = [];
            for (let after: Cursor | undefined; ; ) {
              const page = await read(rows, "default", filter, { limit: 2, ...(after && { after }) });
              seen.push(...page.rows.map(({ id }) => id));
              const last = page.rows.at(-1);
              if (!page.more || !last) break;
              after = { value: last.createdPosition, id: last.id };
            }
            const expected = known.filter((row) => row.list === list).filter(keep(filter));
            expect(seen).toEqual(expected.map(({ id }) => id));
          }
        const counts = await countRecipientRuns(rows, idOf("run", 0));
        const children = known.filter(
          (row) => row.parentId === idOf("run", 0) && row.recipientIndex !== null,
        );
        expect(counts.total).toBe(children.length);
        expect(counts.withErrors).toBe(children.filter(({ errorCount }) => errorCount > 0).length);
        for (const [status, count] of Object.entries(counts.byStatus))
          expect(children.filter((row) => row.status === status)).toHaveLength(count);
        const open = known.filter((row) => row.openParent !== null).reverse();
        const parents = await listOpenParents(rows, { limit: 50 });
        expect(parents.rows.map(({ id }) => id)).toEqual(open.map(({ id }) => id));
        const [first] = open;
        const rest = await listOpenParents(rows, {
          limit: 50,
          ...(first && { after: first.createdPosition }),
        });
        expect(rest.rows).toHaveLength(Math.max(0, open.length - 1));
      }),
      { numRuns: 15 },
    );
  });

  it("never show another workspace's", async () => {
    const store = openMemoryEventStore();
    await recordTries(store, fc.sample(tries(40), { numRuns: 1, seed: 1 })[0] ?? []);
    const rows = await openRows(temporaryFolder());
    await (await openProjector({ store, rows, projections: await allProjections(store) })).catchUp();
    expect((await listRuns(rows, "default", {}, { limit: 50 })).rows.length).toBeGreaterThan(0);
    expect((await listRuns(rows, "other", {}, { limit: 50 })).rows).toEqual([]);
  });
});

describe("instants in a filter", () => {
  it("are those of the log's clock, which never goes back though a machine's does", async () => {
    const store = openMemoryEventStore();
    const { record } = recorder(store);
    const recorded = ["2026-01-01T10:00:00.000Z", "2026-01-01T09:00:00.000Z", "2026-01-01T11:00:00.000Z"];
    for (const [number, recordedAt] of recorded.entries())
      await record(streamOf(idOf("run", number)), "run.created", { workflow: "w" }, undefined, {
        recordedAt,
      });
    const rows = await openRows(temporaryFolder());
    const projections = await allProjections(store);
    await (await openProjector({ store, rows, projections, batchEvents: 1 })).catchUp();
    const between = async (from: string, to: string) => {
      const filter = { createdFromMs: Date.parse(from), createdToMs: Date.parse(to) };
      return (await listRuns(rows, "default", filter, { limit: 5 })).rows.map(({ createdAt }) => createdAt);
    };
    expect(await between("2026-01-01T09:30:00Z", "2026-01-01T10:30:00Z")).toEqual([recorded[1], recorded[0]]);
    expect(await between("2026-01-01T08:30:00Z", "2026-01-01T09:30:00Z")).toEqual([]);
    expect(await between("2026-01-01T11:00:00Z", "2026-01-01T11:00:00.001Z")).toEqual([recorded[2]]);
  });
});

describe("a span's class", () => {
  it("is the bit length of the distance, at most 50", () => {
    for (const [distance, bits] of [
      [0n, 0],
      [1n, 1],
      [2n, 2],
      [3n, 2],
      [4n, 3],
      [2n ** 32n - 1n, 32],
      [2n ** 32n, 33],
    ] as const)
      expect(spanClass(5n, 5n + distance)).toBe(bits);
    expect(spanClass(0n, 2n ** 49n - 1n)).toBe(49);
    expect(spanClass(0n, 2n ** 60n)).toBe(50);
    expect(spanClass(5n, 4n)).toBe(0);
  });
});
