import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Projection } from "../../projections/projection.ts";
import { CheckpointLost, openProjector, type ProjectorDeps } from "../../projections/projector.ts";
import type { Parked, RowStore } from "../../projections/row-store.ts";
import { listRuns, type RunRow } from "../../projections/runs/runs.table.ts";
import { runs } from "../../projections/runs/runs.ts";
import { streamOf } from "../../shared/verification/ids.ts";
import { cell } from "../support/cell.ts";
import { recordTries, tries } from "../support/histories.ts";
import { type MemoryEventStore, openMemoryEventStore } from "../support/memory-event-store.ts";
import { idOf, recorder } from "../support/recording.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { allProjections, dumpViews, openRows, removeViews } from "../support/views.ts";

const runAt = (number: number) => streamOf(idOf("run", number));

/** A log with `count` runs that were created and started. */
async function logOf(count: number): Promise<MemoryEventStore> {
  const store = openMemoryEventStore();
  const { record } = recorder(store);
  await record("ledger-00000000000000000000000000", "ledger.created");
  for (let number = 1; number <= count; number++) {
    await record(runAt(number), "run.created", { workflow: "w" }, { input: { number } });
    await record(runAt(number), "run.started");
  }
  return store;
}

async function projecting(store: MemoryEventStore, folder: string, over: Partial<ProjectorDeps> = {}) {
  const rows = over.rows ?? (await openRows(folder));
  const projections = over.projections ?? (await allProjections(store));
  return { rows, projector: await openProjector({ store, rows, projections, ...over }) };
}

describe("the projector", () => {
  it("makes the same of a log at once and event by event, at every prefix", { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(tries(60), fc.integer({ min: 1, max: 7 }), async (all, batchEvents) => {
        const store = openMemoryEventStore();
        await recordTries(store, all);
        const log = store.events;
        const [live, built] = [temporaryFolder(), temporaryFolder()];
        const { projector } = await projecting(store, live, { batchEvents });
        const { projector: other } = await projecting(store, built);
        for (let length = 1; length <= log.length; length++) {
          store.events = log.slice(0, length);
          await projector.catchUp();
          await other.rebuild();
          expect(await dumpViews(live)).toEqual(await dumpViews(built));
        }
      }),
      { numRuns: cell.isDefault ? 12 : 2 },
    );
  });

  it("counts every event into its digest, from the ledger's creation on", async () => {
    const store = await logOf(3);
    const folder = temporaryFolder();
    const { rows, projector } = await projecting(store, folder, { batchEvents: 2 });
    await projector.catchUp();
    let digest = Buffer.alloc(32);
    for (const { leaf } of store.events)
      digest = createHash("sha256").update(digest).update(leaf).digest() as typeof digest;
    const views = await rows.views();
    expect(views).toHaveLength((await allProjections(store)).length);
    for (const view of views) {
      expect(view).toMatchObject({ eventsSeen: store.events.length, position: 7n, state: "live" });
      expect(Buffer.from(view.digest).equals(digest)).toBe(true);
    }
  });

  it("goes on after a crash inside a transaction, and applies nothing twice", async () => {
    const store = await logOf(5);
    const folder = temporaryFolder();
    const rows = await openRows(folder);
    let left = 0;
    const crashing: RowStore = {
      ...rows,
      transaction: (work) =>
        rows.transaction((writer) =>
          work({
            ...writer,
            checkpoint: async (view, checkpoint) => {
              await writer.checkpoint(view, checkpoint);
              if (left-- === 0) throw new Error("the power went");
            },
          }),
        ),
    };
    const { projector } = await projecting(store, folder, { rows: crashing, batchEvents: 3 });
    for (left = 8; left >= 0; ) {
      left = Math.min(left, 8);
      await projector.catchUp().catch((error) => expect(error.message).toBe("the power went"));
    }
    left = Number.POSITIVE_INFINITY;
    await projector.catchUp();
    const clean = temporaryFolder();
    await (await projecting(store, clean)).projector.catchUp();
    expect(await dumpViews(folder)).toEqual(await dumpViews(clean));
  });

  it("goes on where another process was killed", async () => {
    const store = await logOf(5);
    const folder = temporaryFolder();
    const all = store.events;
    store.events = all.slice(0, 4);
    await (await projecting(store, folder)).projector.catchUp();
    store.events = all;
    await (await projecting(store, folder)).projector.catchUp();
    const clean = temporaryFolder();
    await (await projecting(store, clean)).projector.catchUp();
    expect(await dumpViews(folder)).toEqual(await dumpViews(clean));
  });

  it("parks a run that a view cannot apply, says so once, and goes on with the others", async () => {
    const store = await logOf(2);
    const { record } = recorder(store);
    await record(runAt(7), "run.created", { workflow: "w" });
    await record(runAt(7), "run.vanished");
    await record(runAt(7), "run.started");
    await record(runAt(8), "run.created", { workflow: "w" });
    const parked: Parked[] = [];
    const folder = temporaryFolder();
    const { rows, projector } = await projecting(store, folder, {
      batchEvents: 1,
      onParked: (one) => parked.push(one),
    });
    await projector.catchUp();
    const expected = {
      name: "runs",
      version: runs.version,
      id: idOf("run", 7),
      position: 7n,
      reason: "run.vanished: is no type that this version knows",
    };
    expect(parked).toEqual([expected]);
    expect(await rows.parked()).toEqual([expected]);
    const { row, parked: mark } = await rows.get(runs, idOf("run", 7));
    expect(row?.status).toBe("pending");
    expect(mark).toEqual(expected);
    expect((await rows.get(runs, idOf("run", 8))).row?.status).toBe("pending");
    const { projector: again } = await projecting(store, folder, { onParked: (one) => parked.push(one) });
    await record(runAt(7), "run.completed");
    await again.catchUp();
    expect(parked).toHaveLength(1);
  });

  it("wakes when the log grows, and ends when it is told to", async () => {
    const store = await logOf(1);
    const stop = new AbortController();
    const { rows, projector } = await projecting(store, temporaryFolder(), {
      onCommit: ({ position }) => position === 4n && stop.abort(),
    });
    const following = projector.follow(stop.signal);
    await recorder(store).record(runAt(2), "run.created", { workflow: "w" });
    await following;
    expect((await rows.get(runs, idOf("run", 2))).row?.workflow).toBe("w");
  });

  it("is live at once on an empty log", async () => {
    const { rows, projector } = await projecting(openMemoryEventStore(), temporaryFolder());
    expect(projector.live()).toBe(false);
    expect((await rows.status(runs)).state).toBe("rebuilding");
    await projector.catchUp();
    expect(projector.live()).toBe(true);
    expect((await rows.status(runs)).state).toBe("live");
  });

  it("is rebuilding until it has reached what the log had", async () => {
    const store = await logOf(4);
    const states: string[] = [];
    const rows = await openRows(temporaryFolder());
    const { projector } = await projecting(store, "", {
      rows,
      batchEvents: 3,
      onCommit: () => void rows.status(runs).then(({ state }) => states.push(state)),
    });
    await projector.catchUp();
    expect(states).toEqual(["rebuilding", "rebuilding", "rebuilding"]);
    expect((await rows.status(runs)).state).toBe("live");
  });

  it("builds everything again after the views were removed, and nothing else of it", async () => {
    const store = await logOf(4);
    const folder = temporaryFolder();
    const first = await projecting(store, folder);
    await first.projector.catchUp();
    const before = await dumpViews(folder);
    // What stands beside a file, the write-ahead log, is left: it must not come back to life.
    if (cell.postgres) await removeViews(folder);
    else rmSync(join(folder, "views.db"));
    const second = await projecting(store, folder);
    expect((await second.rows.views()).every(({ eventsSeen }) => eventsSeen === 0)).toBe(true);
    await second.projector.catchUp();
    expect(await dumpViews(folder)).toEqual(before);
  });
});

describe("views and a log that do not fit", () => {
  it("are refused when the log has lost what the views have seen", async () => {
    const store = await logOf(2);
    const folder = temporaryFolder();
    await (await projecting(store, folder)).projector.catchUp();
    store.events = store.events.slice(0, 3);
    await expect(projecting(store, folder)).rejects.toThrow(CheckpointLost);
    await expect(projecting(store, folder)).rejects.toThrow(
      /^.*position 5.*has no event there.*npm run new-epoch$/,
    );
  });

  it("are refused when another event stands there", async () => {
    const store = await logOf(2);
    const folder = temporaryFolder();
    await (await projecting(store, folder)).projector.catchUp();
    const last = store.events.at(-1);
    if (last) store.events[store.events.length - 1] = { ...last, leaf: new Uint8Array(32) };
    await expect(projecting(store, folder)).rejects.toThrow("has another event there");
  });

  it("are refused when the log has fewer epochs, and built again when it began a new one", async () => {
    const store = await logOf(2);
    const folder = temporaryFolder();
    store.epoch = 1n;
    await (await projecting(store, folder)).projector.catchUp();
    store.epoch = 0n;
    await expect(projecting(store, folder)).rejects.toThrow(CheckpointLost);
    store.epoch = 2n;
    const { rows, projector } = await projecting(store, folder);
    await projector.catchUp();
    const { row } = await rows.get(runs, idOf("run", 1));
    expect(row?.createdPosition).toBe(2n * 2n ** 50n + 2n);
  });
});

describe("a new version of a view", () => {
  const next: Projection<RunRow> = {
    ...runs,
    version: runs.version + 1,
    apply(row, event, id, context) {
      const made = runs.apply(row, event, id, context);
      return made && { ...made, currentStateName: "v2" };
    },
  };

  it.each([
    ["whose code is gone", [next]],
    ["that still advances", [runs, next]],
  ])(
    "is built beside one %s, which serves meanwhile, and takes its place in one transaction",
    async (_, projections) => {
      const store = await logOf(3);
      const folder = temporaryFolder();
      await (await projecting(store, folder, { projections: [runs] })).projector.catchUp();
      await recorder(store).record(runAt(9), "run.created", { workflow: "late" });
      const seen: unknown[] = [];
      const served: unknown[] = [];
      const rows = await openRows(folder);
      const { projector } = await projecting(store, folder, {
        rows,
        projections,
        batchEvents: 2,
        onServe: (one) => served.push(one),
        onCommit: () =>
          void rows
            .get(next, idOf("run", 1))
            .then(({ row, view }) => seen.push([view.version, row?.currentStateName])),
      });
      expect(projector.live()).toBe(false);
      await projector.catchUp();
      expect(seen.length).toBeGreaterThan(3);
      expect(new Set(seen.map(String))).toEqual(new Set([`${runs.version},`]));
      expect(served).toEqual([
        { name: "runs", version: runs.version + 1, before: projections.length === 1 ? 3 : 4, after: 4 },
      ]);
      expect((await rows.get(next, idOf("run", 1))).row?.currentStateName).toBe("v2");
      const views = await rows.views();
      expect(views.map(({ version, state }) => [version, state])).toEqual([[next.version, "live"]]);
      expect(Object.keys(await dumpViews(folder))).not.toContain(`runs_${runs.version}`);
      await recorder(store).record(runAt(10), "run.created", { workflow: "w" });
      await projector.catchUp();
      expect((await listRuns(rows, "default", {}, { limit: 50 })).rows).toHaveLength(5);
    },
  );
});
