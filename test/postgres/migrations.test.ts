import { expect, it } from "vitest";
import { migrate } from "../../shared/postgres/migrations.ts";
import { newSharedSchema } from "../support/shared-schema.ts";

const first = "CREATE TABLE things (n integer); INSERT INTO things VALUES (1)";
const second = "ALTER TABLE things ADD COLUMN name text; INSERT INTO things VALUES (2, 'two')";

it("each step is done once, however many processes begin at once, and later ones are added", async () => {
  const shared = await newSharedSchema();
  const processes = await Promise.all(Array.from({ length: 8 }, () => shared.open({ connectionsMax: 1 })));
  await Promise.all(processes.map((postgres) => migrate(postgres, { room: "things", steps: [first] })));
  await Promise.all(
    processes.map((postgres) => migrate(postgres, { room: "things", steps: [first, second] })),
  );
  const [postgres] = processes;
  expect(await postgres?.query("SELECT * FROM things ORDER BY n")).toEqual([
    { n: 1, name: null },
    { n: 2, name: "two" },
  ]);
  expect(await postgres?.query("SELECT * FROM migrations")).toEqual([{ room: "things", version: 2 }]);
});

it("a step that fails leaves nothing of itself, and is tried again", async () => {
  const postgres = await (await newSharedSchema()).open();
  const broken = { room: "things", steps: [first, "CREATE TABLE others (n integer); SELECT nonsense"] };
  await expect(migrate(postgres, broken)).rejects.toThrow("nonsense");
  expect(await postgres.query("SELECT 1 FROM pg_tables WHERE schemaname = $1", [postgres.schema])).toEqual(
    [],
  );
  await migrate(postgres, { room: "things", steps: [first, second] });
  expect(await postgres.query("SELECT count(*)::int AS n FROM things")).toEqual([{ n: 2 }]);
});

it("what a newer program has made is refused in one line", async () => {
  const postgres = await (await newSharedSchema()).open();
  await migrate(postgres, { room: "things", steps: [first, second] });
  await expect(migrate(postgres, { room: "things", steps: [first] })).rejects.toMatchObject({
    code: "unusable_postgres",
    message:
      `the schema ${postgres.schema} has things of version 2, newer than this program's 1: ` +
      "upgrade Runledger",
  });
});
