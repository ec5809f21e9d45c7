import { createServer } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { openPostgres } from "../../shared/postgres/postgres.ts";
import { newSharedSchema } from "../support/shared-schema.ts";

const someone = { name: "test", connectionsMax: 2, statementTimeoutMs: 200, onFault: () => {} };

describe("PostgreSQL", () => {
  it("gives whole numbers beyond what a double can hold, and JSON as it was written", async () => {
    const postgres = await (await newSharedSchema()).open();
    const [row] = await postgres.query(
      'SELECT 9007199254740993::int8 AS big, \'{"b":1, "a":2}\'::json AS said',
    );
    expect(row).toEqual({ big: 9007199254740993n, said: '{"b":1, "a":2}' });
    const values = await postgres.values("SELECT $1::int8, $2::bytea, $3::text[]", [
      9007199254740993n,
      new Uint8Array([0, 255]),
      ["a", 'b"\\,', "é"],
    ]);
    expect(values).toEqual([[9007199254740993n, Buffer.from([0, 255]), ["a", 'b"\\,', "é"]]]);
  });

  it("keeps all of a transaction or nothing, and lets no connection go missing", async () => {
    const postgres = await (await newSharedSchema()).open({ connectionsMax: 2 });
    await postgres.query(`CREATE SCHEMA ${postgres.schema}`);
    await postgres.query("CREATE TABLE kept (n integer)");
    const tries = Array.from({ length: 40 }, (_, n) =>
      postgres.transaction(async (tx) => {
        await tx.query("INSERT INTO kept VALUES ($1)", [n]);
        if (n % 2 === 1) throw new Error("not this one");
        if (n % 4 === 2) await tx.query("SELECT nonsense");
      }),
    );
    const done = await Promise.allSettled(tries);
    expect(done.filter(({ status }) => status === "fulfilled")).toHaveLength(10);
    expect(await postgres.query("SELECT count(*)::int AS n FROM kept")).toEqual([{ n: 10 }]);
  });

  it("cuts a statement that takes too long, and not one that may take long", async () => {
    const postgres = await (await newSharedSchema()).open({ statementTimeoutMs: 100 });
    await expect(postgres.query("SELECT pg_sleep(20)")).rejects.toMatchObject({ code: "postgres_away" });
    await postgres.transaction(async (tx) => {
      await tx.long("SELECT pg_sleep(0.3)");
      await tx.query("SELECT 1");
    });
  });

  it("says in one line, without credentials, that nobody answers", async () => {
    const options = { ...someone, url: "postgres://me:secret@127.0.0.1:1/db", schema: "s" };
    const postgres = await openPostgres(options);
    onTestFinished(() => postgres.close());
    for (const asking of [postgres.query("SELECT 1"), postgres.transaction(async () => {})])
      await expect(asking).rejects.toMatchObject({
        code: "postgres_away",
        message: "PostgreSQL at 127.0.0.1:1 cannot be asked: connect ECONNREFUSED 127.0.0.1:1",
      });
  });

  it("gives up on a server that takes a connection and says nothing", async () => {
    const silent = createServer(() => {}).listen(0, "127.0.0.1");
    await new Promise((resolve) => silent.once("listening", resolve));
    onTestFinished(() => void silent.close());
    const { port } = silent.address() as { port: number }; // It listens on TCP.
    const url = `postgres://me:secret@127.0.0.1:${port}/db`;
    const postgres = await openPostgres({ ...someone, url, schema: "s" });
    await expect(postgres.query("SELECT 1")).rejects.toMatchObject({ code: "postgres_away" });
  });

  it("tells errors of a statement as they are", async () => {
    const postgres = await (await newSharedSchema()).open();
    await expect(postgres.query("SELECT nonsense")).rejects.toMatchObject({ code: "42703" });
  });

  it("listens again after its connection was cut, and says that something may have been missed", async () => {
    const shared = await newSharedSchema();
    const [postgres, other] = [await shared.open(), await shared.open()];
    const heard: (string | undefined)[] = [];
    let wake = Promise.withResolvers<void>();
    const stop = await postgres.listen("news", (payload) => {
      heard.push(payload);
      wake.resolve();
      wake = Promise.withResolvers();
    });
    const until = async (count: number) => {
      while (heard.length < count) await wake.promise;
    };
    await until(1);
    await other.query("SELECT pg_notify('news', 'one')");
    await until(2);
    await other.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN news'");
    await until(3);
    await other.query("SELECT pg_notify('news', 'two')");
    await until(4);
    await stop();
    expect(heard).toEqual([undefined, "one", undefined, "two"]);
  });

  it.each(["Upper", "a-b", "", "x; DROP TABLE runs", "1a"])(
    "refuses %j as a schema's name",
    async (schema) => {
      const opening = openPostgres({ ...someone, url: "postgres://127.0.0.1:1/db", schema });
      await expect(opening).rejects.toMatchObject({ code: "unusable_postgres" });
    },
  );
});
