import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { tableName } from "../../projections/list-plan.ts";
import { binding, pageSql } from "../../projections/postgres-lists.ts";
import { openPostgresRowStore, openPostgresRows } from "../../projections/postgres-row-store.ts";
import { viewsChannel } from "../../projections/postgres-views.ts";
import { type Checkpoint, type Table, type View, zeroCheckpoint } from "../../projections/row-store.ts";
import { runsView } from "../../projections/runs/runs.table.ts";
import { type WorkspaceRow, workspacesView } from "../../projections/workspaces/workspaces.table.ts";
import { rowStoreContract } from "../contracts/row-store.contract.ts";
import { listQueries } from "../support/list-queries.ts";
import { newSharedSchema } from "../support/shared-schema.ts";

rowStoreContract("postgres", async () => openPostgresRowStore(await (await newSharedSchema()).open()));

const row = (number: number, name: string): WorkspaceRow => ({
  id: `workspace_${number}`,
  name,
  revision: 0,
  createdAt: "2026-01-01T00:00:00.000Z",
  updatedAt: "2026-01-01T00:00:00.000Z",
  createdPosition: BigInt(number),
  updatedPosition: BigInt(number),
});
const rows = (name: string) => Array.from({ length: 20 }, (_, number) => row(number + 1, name));
const at = (position: number): Checkpoint => ({
  ...zeroCheckpoint,
  position: BigInt(position),
  eventsSeen: position,
});
const versionOf = (version: number): View<WorkspaceRow> => ({ ...workspacesView, version });
const page = { where: {}, limit: 50 };

/** A store whose workspaces serve, and a reader in another process. */
async function serving() {
  const shared = await newSharedSchema();
  const store = await openPostgresRowStore(await shared.open());
  const reader = await openPostgresRows(await shared.open());
  await store.prepare(workspacesView);
  await store.transaction(async (writer) => {
    await writer.write(
      workspacesView,
      rows("0").map((after) => ({ id: after.id, before: undefined, after })),
    );
    await writer.checkpoint(workspacesView, at(1));
    await writer.serve(workspacesView);
  });
  return { shared, store, reader };
}

describe("readers beside who projects", () => {
  it("find rows and how far they are of one moment, however fast it goes on", async () => {
    const { store, reader } = await serving();
    let isOver = false;
    const reading = (async () => {
      const seen = new Set<bigint>();
      while (!isOver) {
        const { rows: found, view } = await reader.list(workspacesView, page);
        expect(new Set(found.map(({ name }) => name))).toEqual(new Set([`${view.position - 1n}`]));
        const one = await reader.get(workspacesView, "workspace_7");
        expect(one.row?.name).toBe(`${one.view.position - 1n}`);
        seen.add(view.position);
      }
      return seen;
    })();
    for (let number = 1; number <= 60; number++) {
      const [before, after] = [rows(`${number - 1}`), rows(`${number}`)];
      await store.transaction(async (writer) => {
        await writer.write(
          workspacesView,
          after.map((each, index) => ({ id: each.id, before: before[index], after: each })),
        );
        await writer.checkpoint(workspacesView, at(number + 1));
      });
    }
    isOver = true;
    expect((await reading).size).toBeGreaterThan(2);
  });

  it("read the one version or the other while one takes the other's place", async () => {
    const { store, reader } = await serving();
    let isOver = false;
    const reading = (async () => {
      const seen = new Set<number>();
      while (!isOver) {
        const { rows: found, view } = await reader.list(workspacesView, page);
        expect(found.map(({ name }) => name)).toEqual(Array(20).fill(`${view.version - 1}`));
        seen.add(view.version);
      }
      return seen;
    })();
    for (let version = 2; version <= 12; version++) {
      await store.prepare(versionOf(version));
      await store.transaction(async (writer) => {
        const made = rows(`${version - 1}`).map((after) => ({ id: after.id, before: undefined, after }));
        await writer.write(versionOf(version), made);
        await writer.serve(versionOf(version));
      });
    }
    isOver = true;
    expect((await reading).size).toBeGreaterThan(1);
    expect((await reader.status(workspacesView)).version).toBe(12);
  });

  it("open what is not there yet, all at once, and find it being built", async () => {
    const shared = await newSharedSchema();
    const readers = await Promise.all(
      Array.from({ length: 8 }, async () => openPostgresRows(await shared.open({ connectionsMax: 1 }))),
    );
    for (const reader of readers) {
      expect(await reader.status(runsView)).toMatchObject({ ...zeroCheckpoint, state: "rebuilding" });
      expect(await reader.get(runsView, "run_a")).toMatchObject({ row: undefined, parked: undefined });
      expect(await reader.list(runsView, page)).toMatchObject({ rows: [], more: false });
      expect([await reader.views(), await reader.parked()]).toEqual([[], []]);
    }
  });

  it("are told of every commit that moves a view, on the schema's channel", async () => {
    const { shared, store } = await serving();
    const postgres = await shared.open();
    let told = 0;
    const listening = Promise.withResolvers<void>();
    const heard = Promise.withResolvers<void>();
    const stop = await postgres.listen(viewsChannel(shared.schema), () => {
      told++;
      if (told === 1) listening.resolve();
      else heard.resolve();
    });
    await listening.promise;
    await store.transaction((writer) => writer.read(workspacesView, ["workspace_1"]));
    await store.transaction((writer) => writer.checkpoint(workspacesView, at(2)));
    await heard.promise;
    await stop();
    expect(told).toBe(2);
  });
});

describe("who projects", () => {
  it("writes nothing under a fence that is down", async () => {
    const { shared, reader } = await serving();
    const fence = async (): Promise<void> => {
      throw new Error("somebody else's");
    };
    const fenced = await openPostgresRowStore(await shared.open(), { fence });
    await expect(fenced.prepare(runsView)).rejects.toThrow("somebody else's");
    const writing = fenced.transaction((writer) => writer.drop(workspacesView));
    await expect(writing).rejects.toThrow("somebody else's");
    expect((await reader.views()).map(({ name }) => name)).toEqual(["workspaces"]);
  });

  it("is told when the views are not where it left them, and keeps nothing of its transaction", async () => {
    const { shared, store, reader } = await serving();
    const other = await openPostgresRowStore(await shared.open());
    await other.transaction((writer) => writer.checkpoint(workspacesView, at(5)));
    const late = store.transaction(async (writer) => {
      await writer.write(workspacesView, [{ id: "workspace_1", before: row(1, "0"), after: undefined }]);
      await writer.checkpoint(workspacesView, at(3));
    });
    await expect(late).rejects.toMatchObject({ code: "views_moved" });
    expect((await reader.status(workspacesView)).position).toBe(5n);
    expect((await reader.get(workspacesView, "workspace_1")).row?.name).toBe("0");
  });
});

/** Rows of every kind, made by the server itself. */
function fill({ table }: View, name: string, count: number): string {
  const sparse = new Set(table.indexes.flatMap(({ where }) => where ?? []));
  const values = Object.entries(table.columns).map(([column, { type, values: known }]) => {
    if (sparse.has(column) && column !== "parentId") return `CASE WHEN n % 50 = 0 THEN ${spread(type)} END`;
    if (column === "id") return `'id_' || n`;
    if (column === "workspace") return "'default'";
    if (column === table.order.column || column === "updatedPosition") return "n";
    if (!known) return spread(type);
    const quoted = known.map((value) => (typeof value === "string" ? `'${value}'` : `${value}`)).join(", ");
    return `(ARRAY[${quoted}])[1 + (n * 7919) % ${known.length}]`;
  });
  return `INSERT INTO "${name}" SELECT ${values.join(", ")} FROM generate_series(1, ${count}) AS n`;
}

const spread = (type: string): string =>
  ({
    text: "'v' || (n * 31) % 500",
    json: `'{}'`,
    bytes: `'\\x00'::bytea`,
    boolean: "n % 2 = 0",
  })[type] ?? "n % 1000";

describe("every list", () => {
  const views = new Set(listQueries.map(([view]) => view));
  it.each([...views].map((view) => [view.name, view] as const))(
    "of %s is a walk through an index: nothing is scanned, nothing but a few rows is sorted",
    async (_, view) => {
      const postgres = await (await newSharedSchema()).open({ connectionsMax: 1 });
      const store = await openPostgresRowStore(postgres);
      const name = tableName(view);
      await store.prepare(view);
      await postgres.query(fill(view, name, 30_000));
      await store.transaction((writer) => writer.serve(view));
      for (const [, query] of listQueries.filter(([of]) => of === view)) {
        for (const paging of [{}, { after: { value: 5n, id: "x" } }, { before: { value: 5n, id: "x" } }]) {
          const binds = binding();
          const { sql } = pageSql(name, view.table as Table, { ...query, ...paging, limit: 50 }, binds);
          const plan = (await postgres.values(`EXPLAIN (GENERIC_PLAN, COSTS OFF) ${sql}`)).flat().map(String);
          const said = `${inspect(query)}\n${plan.join("\n")}`;
          expect(
            plan.filter((step) => /Seq Scan/.test(step)),
            said,
          ).toEqual([]);
          // A list within bounds of another position sorts what it has gathered, 300 rows at most.
          if (!query.within)
            expect(
              plan.filter((step) => /Sort$/.test(step)),
              said,
            ).toEqual([]);
          const walks = plan.filter((step) => /Index (Only )?Scan/.test(step));
          const ranges = plan.filter((step) => /Index Cond: .*[<>]/.test(step));
          expect(walks.length, said).toBeGreaterThan(0);
          expect(ranges, said).toHaveLength(walks.length);
        }
      }
    },
  );
});
