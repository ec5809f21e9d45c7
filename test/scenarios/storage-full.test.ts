import { spawnSync } from "node:child_process";
import { describe, expect } from "vitest";
import { cell } from "../support/cell.ts";
import type { Page, Reply, RunJson } from "../support/client.ts";
import { runProgram } from "../support/run-program.ts";
import { itNeeds, itOnlyOn, program } from "../support/skip.ts";
import { spawnServer } from "../support/spawn-server.ts";

const limits = {
  name: "bash and prlimit",
  isThere: program("bash").isThere && spawnSync("prlimit", ["--version"]).error === undefined,
};
/** Elsewhere the disk is another server's. */
const itFills = cell.eventStoreDb ? itOnlyOn("a log in SQLite") : itNeeds(limits);
/** KiB that each file of the server may have. The limit is soft, so that it can be lifted again. */
const through = ["bash", "-c", 'ulimit -S -f 4096; exec "$@"', "bash"];
const input = "x".repeat(50_000);

describe("a server whose disk is full", () => {
  itFills(
    "refuses writes, keeps what it answered, reads on, and records again when there is room",
    async () => {
      const server = await spawnServer({ through });
      const recorded: string[] = [];
      const refused: Reply<unknown>[] = [];
      // A file that was opened again may have a little more room: the disk is full when nothing has gone in
      // for a while.
      for (let inVain = 0; inVain < 20; ) {
        const reply = await server.create({ input });
        if (reply.status === 201) {
          recorded.push(reply.body.run.id);
          inVain = 0;
        } else {
          refused.push(reply);
          inVain++;
        }
      }
      expect(recorded.length).toBeGreaterThan(20);
      for (const each of refused) {
        expect(each).toMatchObject({ status: 503, body: { code: "storage_full" } });
        expect(each.headers.get("retry-after")).toBe("30");
      }

      const events = await server.events();
      expect(events.map(({ stream }) => stream)).toEqual(recorded);
      expect((await server.get(`/v1/runs/${recorded.at(-1)}/events`)).status).toBe(200);
      expect((await server.get<Page<RunJson>>("/v1/runs")).status).toBe(200);
      expect((await server.get("/healthz")).status).toBe(200);

      spawnSync("prlimit", ["--pid", `${server.pid()}`, "--fsize=unlimited:"]);
      const roomy = await server.create({ input });
      expect(roomy.status).toBe(201);
      await server.record(roomy.body.run.id, ["run.started", "run.completed"]);
      // The views had no room either, and go on by themselves.
      for (;;) {
        const shown = await server.get<Page<RunJson>>(
          `/v1/runs?pageSize=1&minPosition=${roomy.body.position}`,
        );
        if (shown.status === 200) {
          expect(shown.body.items[0]?.id).toBe(roomy.body.run.id);
          break;
        }
        expect(shown).toMatchObject({ status: 503, body: { code: "projection_behind" } });
      }
      expect(await server.kill("SIGTERM")).toBe(0);
      const verified = await runProgram("services/verify.ts", { data: server.folder });
      expect(verified).toMatchObject({ code: 0, err: "" });
    },
    60_000,
  );
});
