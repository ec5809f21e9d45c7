import { expect, it } from "vitest";
import { variablesFor } from "../support/cell.ts";
import { eventfulFolder } from "../support/eventful-folder.ts";
import { secretInPostgres } from "../support/moved-log.ts";
import { runProgram } from "../support/run-program.ts";
import { startServer } from "../support/start-server.ts";

it("a move carries every secret into the vault that the servers will have", async () => {
  const { folder, key, last } = await eventfulFolder();
  const env = await variablesFor(folder, { eventStoreDb: true, postgres: true, kafka: false });
  const { code, err } = await runProgram("services/move.ts", { data: folder, env });
  expect([code, err]).toEqual([0, ""]);
  expect(await secretInPostgres(env, "whsec-1")).toBe("a signing secret");
  const again = await runProgram("services/move.ts", { data: folder, env });
  expect([again.code, again.out]).toEqual([0, expect.stringContaining("nothing left to do")]);
  const server = await startServer(folder, env);
  const headers = { authorization: `Bearer ${key}` };
  const run = await fetch(`${server.url}/v1/runs/${last.replace("-", "_")}?minPosition=0`, { headers });
  expect([run.status, await run.json()]).toMatchObject([200, { input: "last" }]);
  await server.stop();
}, 60_000);
