import { expect, it } from "vitest";
import { newKeyText } from "../../shared/ledger/keys.ts";
import { variablesFor } from "../support/cell.ts";
import { eventfulFolder } from "../support/eventful-folder.ts";
import { secretInPostgres } from "../support/moved-log.ts";
import { untilReady } from "../support/open-server.ts";
import { runProgram } from "../support/run-program.ts";
import { startServer } from "../support/start-server.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const refusal = new RegExp(
  "^the secrets of this ledger are in \\S+vault\\.db, and not in the schema \\S+ of PostgreSQL: " +
    "run `npm run move` with this configuration first\n$",
);

/** What an operator does who sets RUNLEDGER_VIEWS=postgres: is refused, runs what it says, and starts. */
async function switched(folder: string, env: Readonly<Record<string, string>>) {
  const refused = await runProgram("services/main.ts", { data: folder, env });
  expect([refused.code, refused.err]).toEqual([1, expect.stringMatching(refusal)]);
  const moved = await runProgram("services/move.ts", { data: folder, env });
  expect([moved.code, moved.err]).toEqual([0, ""]);
  expect(moved.out).toMatch(/^carried [1-9]\d* secrets to PostgreSQL/);
  const server = await startServer(folder, env);
  await untilReady(server.url);
  return server;
}

it("a log in SQLite does not go on with PostgreSQL without its secrets", async () => {
  const { folder } = await eventfulFolder();
  const env = await variablesFor(folder, { eventStoreDb: false, postgres: true, kafka: false });
  const server = await switched(folder, env);
  expect(await secretInPostgres(env, "whsec-1")).toBe("a signing secret");
  await server.stop();
}, 60_000);

it("a log in EventStoreDB does not go on with PostgreSQL without the keys of its content", async () => {
  const folder = temporaryFolder();
  const key = newKeyText("default");
  const on = (postgres: boolean) => variablesFor(folder, { eventStoreDb: true, postgres, kafka: false });
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const before = await startServer(folder, { ...(await on(false)), RUNLEDGER_FIRST_KEY: key });
  const body = JSON.stringify({ workflow: "w", input: { secret: "of the run" } });
  const made = await fetch(`${before.url}/v1/runs`, { method: "POST", headers, body });
  const { run } = (await made.json()) as { run: { id: string } };
  await before.stop();

  const server = await switched(folder, await on(true));
  const found = await fetch(`${server.url}/v1/runs/${run.id}`, { headers });
  expect([found.status, await found.json()]).toMatchObject([200, { input: { secret: "of the run" } }]);
  await server.stop();
}, 60_000);
