import { randomBytes } from "node:crypto";
import { Pool } from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import { openPostgresMemory } from "../../examples/postgres-memory.ts";
import { handled, receiverMemoryContract } from "../contracts/receiver-memory.contract.ts";
import { addressOf } from "../support/servers/address-of.ts";

/** A schema of PostgreSQL that goes when the test ends, and a pool whose tables are in it. */
async function database(): Promise<Pool> {
  const schema = `t_${randomBytes(8).toString("hex")}`;
  const options = `-c search_path=${schema}`;
  const pool = new Pool({ connectionString: await addressOf("postgres"), max: 4, options });
  onTestFinished(async () => {
    await pool.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
    await pool.end();
  });
  await pool.query(`CREATE SCHEMA ${schema}`);
  return pool;
}

receiverMemoryContract("the one in Postgres", async () => openPostgresMemory(await database()));

describe("the memory in Postgres", () => {
  it("is the same for two processes, and is there after a restart", async () => {
    const pool = await database();
    const [one, other] = [await openPostgresMemory(pool), await openPostgresMemory(pool)];
    const told = await Promise.all([one, other, one, other].map((memory) => memory.begin("a")));
    expect(told.sort()).toEqual(["begun", "busy", "busy", "busy"]);
    await other.finish(handled("a", { revision: 7 }));
    const later = await openPostgresMemory(pool);
    expect(await later.begin("a")).toBe("done");
    expect(await later.find("run_1", "evt_a")).toEqual({ handled: true, lastRevision: 7 });
  });

  it("gives to another what somebody began five minutes ago, and never what is done", async () => {
    const pool = await database();
    const memory = await openPostgresMemory(pool);
    for (const id of ["old", "young", "done"]) await memory.begin(id);
    await memory.finish(handled("done"));
    const age = "UPDATE webhooks_received SET begun_at = now() - $1::interval WHERE id = $2";
    for (const [id, ms] of [
      ["old", "301 s"],
      ["young", "290 s"],
      ["done", "1 day"],
    ])
      await pool.query(age, [ms, id]);
    const told = [];
    for (const id of ["old", "old", "young", "done"]) told.push(await memory.begin(id));
    expect(told).toEqual(["begun", "busy", "busy", "done"]);
  });
});
