import { describe, expect, it } from "vitest";
import {
  type Change,
  type Cursor,
  type ListQuery,
  type RowStore,
  type StoredRow,
  spanClass,
  type View,
  zeroCheckpoint,
} from "../../projections/row-store.ts";
import { type ThingRow, thing, things, thingsOf } from "../support/things.ts";

const made = (row: ThingRow): Change => ({ id: row.id, before: undefined, after: row });
const many = (count: number): ThingRow[] => Array.from({ length: count }, (_, number) => thing(number));
const ids = (rows: readonly StoredRow[]) => rows.map(({ id }) => Number(id.slice(-3)));
const cursor = ({ place, id }: ThingRow): Cursor => ({ value: place, id });
const checkpoint = {
  position: 9n,
  leafHash: new Uint8Array(32).fill(1),
  eventsSeen: 9,
  digest: new Uint8Array(32).fill(2),
  clockMs: 90,
};

/** A plain model of a list. */
function listed(rows: readonly ThingRow[], keep: (row: ThingRow) => boolean): number[] {
  const newestFirst = (a: ThingRow, b: ThingRow) =>
    a.place === b.place ? (a.id < b.id ? 1 : -1) : a.place < b.place ? 1 : -1;
  return ids(rows.filter(keep).sort(newestFirst));
}

export function rowStoreContract(adapter: string, open: () => Promise<RowStore>): void {
  /** A store with these rows, serving. */
  async function storeOf(rows: readonly ThingRow[], view = things): Promise<RowStore> {
    const store = await open();
    await store.prepare(view);
    await store.transaction(async (writer) => {
      await writer.write(view, rows.map(made));
      await writer.checkpoint(view, checkpoint);
      await writer.serve(view);
    });
    return store;
  }

  /** Every page of a list, in the direction of its cursor; the sizes must be right on the way. */
  async function pages(store: RowStore, query: Omit<ListQuery, "limit">, limit: number): Promise<number[]> {
    const all: number[] = [];
    for (let after: Cursor | undefined; ; ) {
      const { rows, more } = await store.list(things, { ...query, limit, ...(after && { after }) });
      all.push(...ids(rows));
      const last = rows.at(-1);
      if (!more || !last) return all;
      expect(rows).toHaveLength(limit);
      after = cursor(last);
    }
  }

  describe(`${adapter} is a row store`, () => {
    it("gives back what was written, null and absent told apart", async () => {
      const full = thing(1, {
        weight: 0.5,
        dueAt: 7,
        parent: "p",
        body: { a: [1, null], ["__proto__"]: "kept" },
      });
      const store = await storeOf([full, thing(2), thing(3, { body: null })]);
      const { row, view, parked } = await store.get(things, full.id);
      expect(row).toEqual(full);
      expect(JSON.stringify(row?.body)).toBe('{"a":[1,null],"__proto__":"kept"}');
      expect(view).toMatchObject({ ...checkpoint, name: "some-things", version: 1, state: "live" });
      expect(parked).toBeUndefined();
      expect("body" in ((await store.get(things, thing(2).id)).row ?? {})).toBe(false);
      expect((await store.get(things, thing(3).id)).row?.body).toBeNull();
      expect((await store.get(things, "thing_none")).row).toBeUndefined();
    });

    it("keeps positions beyond what a double can hold", async () => {
      const place = 9n * 2n ** 50n + 1n;
      const store = await storeOf([thing(1, { place }), thing(2, { place: place + 1n })]);
      const { rows } = await store.list(things, { where: { owner: "a" }, limit: 5 });
      expect(rows.map((row) => row.place)).toEqual([place + 1n, place]);
    });

    it("keeps any text, and finds rows by it", async () => {
      const texts = ["", "a\0b", "\0", "\x01", "\x010", "\x01\0", "\\0", "{}", "NULL", "é\u{1f680}", "'\""];
      const rows = texts.map((parent, number) => thing(number, { parent, body: { [parent]: parent } }));
      const store = await storeOf(rows);
      for (const row of rows) {
        expect((await store.get(things, row.id)).row).toEqual(row);
        const page = await store.list(things, { where: { parent: row.parent }, limit: 9 });
        expect(page.rows).toEqual([row]);
        await store.transaction(async (writer) => {
          expect(await writer.find(things, "parent", row.parent)).toEqual([row.id]);
        });
      }
      const reason = "no \0 here";
      const parked = { name: things.name, version: 1, id: thing(1).id, position: 4n, reason };
      await store.transaction((writer) => writer.park(parked));
      expect(await store.parked()).toEqual([parked]);
    });

    it("orders ids as their characters' numbers are ordered, wherever it stands", async () => {
      const names = ["thing_Z01", "thing_a02", "thing__03", "thing_B04", "thing_é05", "thing_-06"];
      const store = await storeOf(names.map((id) => ({ ...thing(1), id })));
      const { rows } = await store.list(things, { where: { owner: "a" }, limit: 9 });
      expect(rows.map(({ id }) => id)).toEqual([...names].sort().reverse());
    });

    it("changes and removes rows, and refuses to move what is fixed", async () => {
      const store = await storeOf([thing(1), thing(2)]);
      const after = thing(1, { color: "blue", body: "x" });
      await store.transaction((writer) =>
        writer.write(things, [
          { id: after.id, before: thing(1), after },
          { id: thing(2).id, before: thing(2), after: undefined },
        ]),
      );
      expect((await store.get(things, after.id)).row).toEqual(after);
      expect((await store.get(things, thing(2).id)).row).toBeUndefined();
      const moved = thing(1, { owner: "b" });
      const moving = store.transaction((writer) =>
        writer.write(things, [{ id: after.id, before: after, after: moved }]),
      );
      await expect(moving).rejects.toThrow("owner");
    });

    it("keeps all of a transaction or nothing", async () => {
      const store = await storeOf([thing(1)]);
      const failing = store.transaction(async (writer) => {
        await writer.write(things, [made(thing(2))]);
        await writer.park({ name: things.name, version: 1, id: "x", position: 3n, reason: "r" });
        await writer.checkpoint(things, { ...checkpoint, position: 10n });
        throw new Error("the power went");
      });
      await expect(failing).rejects.toThrow("the power went");
      expect((await store.get(things, thing(2).id)).row).toBeUndefined();
      expect((await store.status(things)).position).toBe(9n);
      expect(await store.parked()).toEqual([]);
      await store.transaction((writer) => writer.write(things, [made(thing(2))]));
    });

    it("finds what is written in the same transaction, and says how large it is", async () => {
      const store = await storeOf([thing(1, { parent: "p" })]);
      await store.transaction(async (writer) => {
        const long = thing(2, { parent: "p", body: "b".repeat(5000) });
        const [size] = await writer.write(things, [made(long)]);
        expect(size).toBeGreaterThan(5000);
        expect((await writer.find(things, "parent", "p")).sort()).toEqual([thing(1).id, long.id]);
        const read = await writer.read(things, [long.id, "thing_none"]);
        expect([...read.keys()]).toEqual([long.id]);
        expect(read.get(long.id)?.row).toEqual(long);
        expect(read.get(long.id)?.characters).toBeGreaterThan(5000);
      });
    });

    it.each([1, 2, 3, 7, 50])("lists newest first, page by page of %i, each row once", async (limit) => {
      const rows = many(40);
      const store = await storeOf(rows);
      const filters: [ListQuery["where"], (row: ThingRow) => boolean][] = [
        [{ owner: "a" }, () => true],
        [{ owner: "b" }, () => false],
        [{ owner: "a", color: "red" }, ({ color }) => color === "red"],
        [{ owner: "a", color: ["red", "blue", "red"] }, ({ color }) => color !== "green"],
        [{ owner: "a", late: true }, ({ late }) => late],
        [{ owner: "a", color: ["green"], late: false }, ({ color, late }) => color === "green" && !late],
        [{ owner: "a", color: [] }, () => false],
        [{ owner: "a", weight: 1 }, ({ weight }) => weight === 1],
        [{ owner: "a", weight: [null, 1] }, () => true],
      ];
      for (const [where, keep] of filters)
        expect(await pages(store, { where }, limit)).toEqual(listed(rows, keep));
    });

    it("pages backwards with the same cursors", async () => {
      const rows = many(20);
      const store = await storeOf(rows);
      const expected = listed(rows, () => true);
      for (let at = 0; at < expected.length; at++) {
        const row = rows[expected[at] ?? 0] as ThingRow;
        const before = await store.list(things, { where: { owner: "a" }, before: cursor(row), limit: 4 });
        expect(ids(before.rows)).toEqual(expected.slice(Math.max(0, at - 4), at));
        expect(before.more).toBe(at > 4);
      }
    });

    it("lists between bounds, both included", async () => {
      const rows = many(40);
      const store = await storeOf(rows);
      const query = { where: { owner: "a" }, from: 10n, until: 20n };
      expect(await pages(store, query, 4)).toEqual(listed(rows, ({ place }) => place >= 10n && place <= 20n));
      expect(await pages(store, { where: { owner: "a" }, from: 20n, until: 10n }, 4)).toEqual([]);
    });

    it.each([
      ["few", 40],
      ["many", 2500],
    ])("lists by another position too, where %s rows lie between its bounds", async (_, count) => {
      const rows = many(count).map((row, at) => {
        const moved = row.place + BigInt((at * at) % 70);
        return { ...row, moved, span: spanClass(row.place, moved) };
      });
      const store = await storeOf(
        rows.map((row, at) => ({ ...row, id: `thing_${String(at).padStart(5, "0")}` })),
      );
      const [from, until] = [10n, BigInt(count) - 10n];
      const inside = rows
        .filter(({ moved }) => moved >= from && moved <= until)
        .map(({ moved, place }) => `${moved} ${place}`);
      const seen: string[] = [];
      for (let after: Cursor | undefined; ; ) {
        const query = { where: { owner: "a" }, within: { column: "moved", from, until }, limit: 100 };
        const page = await store.list(things, { ...query, ...(after && { after }) });
        seen.push(...page.rows.map(({ moved, place }) => `${moved} ${place}`));
        const last = page.rows.at(-1);
        if (!page.more || !last) break;
        after = cursor(last);
      }
      expect(seen).toHaveLength(inside.length);
      expect(new Set(seen)).toEqual(new Set(inside));
      const places = seen.map((one) => Number(one.split(" ")[1]));
      expect(places).toEqual([...places].sort((a, b) => b - a));
    });

    it("lists in another order, ascending, only what has a value in it", async () => {
      const rows = many(30).map((row, at) => ({ ...row, dueAt: at % 4 === 0 ? null : (at * 7) % 10 }));
      const store = await storeOf(rows);
      const due = rows.filter(({ dueAt }) => dueAt !== null && dueAt <= 5);
      due.sort((a, b) => (a.dueAt ?? 0) - (b.dueAt ?? 0) || (a.id < b.id ? -1 : 1));
      const all: number[] = [];
      for (let after: Cursor | undefined; ; ) {
        const page = await store.list(things, {
          where: {},
          ascendingBy: "dueAt",
          until: 5n,
          limit: 4,
          ...(after && { after }),
        });
        all.push(...ids(page.rows));
        const last = page.rows.at(-1);
        if (!page.more || !last) break;
        after = { value: BigInt(last.dueAt ?? 0), id: last.id };
      }
      expect(all).toEqual(ids(due));
    });

    it("refuses a list that no index leads to", async () => {
      const store = await storeOf(many(3));
      await expect(store.list(things, { where: {}, limit: 5 })).rejects.toThrow("no index");
    });

    it("counts by what it is asked to", async () => {
      const store = await storeOf(many(12));
      const groups = await store.count(things, { owner: "a", color: ["red", "green"] }, ["color", "late"]);
      const key = (group: { values: Record<string, unknown> }) => JSON.stringify(group.values);
      expect(groups.sort((a, b) => (key(a) < key(b) ? -1 : 1))).toEqual([
        { values: { color: "green", late: false }, count: 2 },
        { values: { color: "green", late: true }, count: 2 },
        { values: { color: "red", late: false }, count: 2 },
        { values: { color: "red", late: true }, count: 2 },
      ]);
      expect(await store.count(things, { owner: "b" }, ["color"])).toEqual([]);
    });

    it("finds the first position at an instant, however the clock jumped", async () => {
      const clocks = [0, 0, 30, 30, 30, 90, 91];
      const store = await storeOf(
        clocks.map((placeClockMs, at) => thing(at * 3, { place: BigInt(at * 100 + 1), placeClockMs })),
      );
      const columns = { position: "place", clock: "placeClockMs" };
      const first = (ms: number) => store.firstPosition(things, { owner: "a" }, columns, ms);
      for (const ms of [-5, 0, 1, 29, 30, 31, 89, 90, 91, 92]) {
        const at = clocks.findIndex((clock) => clock >= ms);
        const position = await first(ms);
        if (at < 0) expect(position).toBeUndefined();
        else {
          expect(position).toBeLessThanOrEqual(at * 100 + 1);
          expect(position).toBeGreaterThan(at === 0 ? -1 : (at - 1) * 100 + 1);
        }
      }
      expect(await store.firstPosition(things, { owner: "b" }, columns, 0)).toBeUndefined();
    });

    it("remembers what could not be applied, once for each view and run", async () => {
      const store = await storeOf([thing(1)]);
      const one = { name: things.name, version: 1, id: thing(1).id, position: 4n, reason: "no" };
      await store.transaction(async (writer) => {
        await writer.park(one);
        await writer.park({ ...one, position: 5n });
        await writer.park({ ...one, name: "others", position: 6n });
      });
      expect(await store.parked()).toEqual([one, { ...one, name: "others", position: 6n }]);
      expect((await store.get(things, one.id)).parked).toEqual(one);
    });

    it("is rebuilding before it serves: gets answer, lists wait", async () => {
      const store = await open();
      const unknown = await store.status(things);
      expect(unknown).toMatchObject({ ...zeroCheckpoint, state: "rebuilding" });
      expect(await store.get(things, "x")).toMatchObject({ row: undefined, view: { state: "rebuilding" } });
      await store.prepare(things);
      await store.prepare(things);
      await store.transaction((writer) => writer.write(things, [made(thing(1))]));
      expect((await store.get(things, thing(1).id)).row).toEqual(thing(1));
      const page = await store.list(things, { where: { owner: "a" }, limit: 5 });
      expect(page).toMatchObject({ rows: [], more: false, view: { state: "rebuilding" } });
      expect(
        await store.firstPosition(things, { owner: "a" }, { position: "place", clock: "placeClockMs" }, 0),
      ).toBe(undefined);
    });

    it("reads the version that serves until another takes its place, then that one alone", async () => {
      const store = await storeOf(many(4));
      const next = thingsOf(2);
      await store.prepare(next);
      await store.transaction(async (writer) => {
        await writer.write(next, [made(thing(9))]);
        await writer.park({ name: next.name, version: 1, id: "x", position: 1n, reason: "r" });
      });
      expect((await store.status(next)).version).toBe(1);
      expect((await store.get(next, thing(1).id)).row).toEqual(thing(1));
      expect((await store.list(next, { where: { owner: "a" }, limit: 9 })).rows).toHaveLength(4);
      const counts = await store.transaction((writer) => writer.serve(next));
      expect(counts).toEqual({ before: 4, after: 1 });
      for (const view of [things, next]) {
        expect((await store.status(view)).version).toBe(2);
        expect(ids((await store.list(view, { where: { owner: "a" }, limit: 9 })).rows)).toEqual([9]);
      }
      expect([(await store.views()).length, (await store.parked()).length]).toEqual([1, 0]);
    });

    it("reads an older version whose columns are fewer", async () => {
      const store = await open();
      const { weight: _, body: __, ...columns } = things.table.columns;
      const older: View<ThingRow> = { ...things, table: { ...things.table, columns } };
      await store.prepare(older);
      await store.transaction(async (writer) => {
        await writer.write(older, [made(thing(1))]);
        await writer.serve(older);
      });
      expect((await store.get(thingsOf(2), thing(1).id)).row).toEqual(thing(1));
    });

    it("drops a version with all that belongs to it", async () => {
      const store = await storeOf(many(2));
      await store.transaction(async (writer) => {
        await writer.park({ name: things.name, version: 1, id: "x", position: 1n, reason: "r" });
        await writer.drop(things);
      });
      expect([...(await store.views()), ...(await store.parked())]).toEqual([]);
      await store.prepare(things);
      expect((await store.status(things)).eventsSeen).toBe(0);
    });
  });
}
