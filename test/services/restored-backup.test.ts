import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { newKeyText } from "../../shared/ledger/keys.ts";
import { runProgram } from "../support/run-program.ts";
import { startServer } from "../support/start-server.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const EPOCH = 2n ** 50n;

describe("a server on a restored backup", () => {
  it("starts only in a new epoch, and sends its readers to where they stand", async () => {
    const data = temporaryFolder();
    const key = newKeyText("default");
    const env = { RUNLEDGER_FIRST_KEY: key };
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const create = async (url: string): Promise<bigint> => {
      const body = JSON.stringify({ workflow: "onboarding" });
      const answer = await fetch(`${url}/v1/runs`, { method: "POST", headers, body });
      expect(answer.status).toBe(201);
      return BigInt(answer.headers.get("ledger-position") ?? "");
    };
    const feed = async (url: string, after: bigint) => {
      const answer = await fetch(`${url}/v1/events?after=${after}`, { headers });
      return { status: answer.status, body: await answer.json() };
    };

    const before = await startServer(data, env);
    const kept = await create(before.url);
    await before.stop();
    copyFileSync(join(data, "log.db"), join(data, "backup.db"));
    const between = await startServer(data, env);
    await create(between.url);
    const lost = await create(between.url);
    for (const program of ["key", "rebuild", "new-epoch"]) {
      expect(await runProgram(`services/${program}.ts`, { data })).toMatchObject({
        code: 1,
        err: `the server is running on ${data}: stop it first\n`,
      });
    }
    expect(await runProgram("services/verify.ts", { data })).toMatchObject({ code: 0 });
    await between.stop();
    copyFileSync(join(data, "backup.db"), join(data, "log.db"));

    const refused = await startServer(data, env).catch((error: Error) => error.message);
    expect(refused).toMatch(/^\S[^\n]*npm run new-epoch\n$/);
    expect((await runProgram("services/new-epoch.ts", { data })).code).toBe(0);

    const after = await startServer(data, env);
    const next = await create(after.url);
    expect(next).toBeGreaterThan(EPOCH);
    for (const [position, now] of [
      [kept, kept],
      [lost, kept],
    ] as const) {
      const { status, body } = await feed(after.url, position);
      expect([status, body]).toMatchObject([410, { code: "position_moved", position: `${EPOCH + now}` }]);
    }
    expect(await feed(after.url, 900n * EPOCH)).toMatchObject({
      status: 400,
      body: { code: "position_unknown" },
    });
    const { status, body } = await feed(after.url, EPOCH + kept);
    expect(status).toBe(200);
    expect(body).toMatchObject({ items: [{ type: "run.created", position: `${next}` }] });
    await after.stop();
    expect((await runProgram("services/verify.ts", { data })).code).toBe(0);
  });
});
