import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { Client, Reply } from "../support/client.ts";
import { spawnCluster } from "../support/cluster.ts";
import type { LogLine } from "../support/open-server.ts";
import { startEventStoreDb } from "../support/servers/eventstoredb.ts";
import { startPostgres } from "../support/servers/postgres.ts";
import type { SpawnedServer } from "../support/spawn-server.ts";
import { openBalancedBook } from "./balanced-book.ts";
import { expectSettled, openHearing, underLoad } from "./settled.ts";

const PATIENCE = { timeout: 30_000, interval: 50 };
/** An outage of seconds is a few lines of each process, however often it asked meanwhile. */
const LINES_MAX = 25;

/** What a server says that cannot do something now: it is known under its code, and when to ask again. */
const isPlain = ({ status, headers, body }: Reply<unknown>): boolean =>
  status === 503 &&
  /^\d+$/.test(headers.get("retry-after") ?? "") &&
  ["overloaded", "outcome_unknown", "projection_behind"].includes((body as { code: string }).code);

const errorOf = ({ err }: LogLine): string => (err as { message?: string } | undefined)?.message ?? "";

/** Somebody said what is away, and nobody said it over and over. */
function expectClearLines(processes: readonly SpawnedServer[], what: RegExp): void {
  for (const process of processes) {
    const lines = process.complaints();
    expect(
      lines.some((line) => what.test(errorOf(line))),
      JSON.stringify(lines.slice(0, 3)),
    ).toBe(true);
    expect(lines.length, JSON.stringify(lines.map(({ msg }) => msg))).toBeLessThanOrEqual(LINES_MAX);
  }
}

/** The views are as far as the log is now. */
async function expectCaughtUp(api: Client): Promise<void> {
  const { body } = await api.get<{ head: string }>("/readyz");
  await vi.waitUntil(
    async () => (await api.get(`/v1/runs?minPosition=${body.head}`)).status === 200,
    PATIENCE,
  );
}

describe("PostgreSQL that is killed and started again", () => {
  it("loses nothing and doubles nothing: what cannot be done is refused, and done afterwards", async () => {
    const server = await startPostgres();
    onTestFinished(() => server.stop());
    const { api, projector, recipients, sender } = await spawnCluster<
      "api" | "projector" | "recipients" | "sender"
    >({
      processes: { api: "api", projector: "projector", recipients: "recipients", sender: "dispatcher" },
      env: { RUNLEDGER_POSTGRES_URL: server.address },
    });
    const heard = await openHearing(api);
    const book = openBalancedBook([api], { mayAnswer: isPlain });
    const endedAtMs: number[] = [];
    await underLoad(book, async () => {
      await book.more(30);
      endedAtMs.push(Date.now());
      await server.kill();
      await vi.waitUntil(() => book.refused.length >= 5, PATIENCE);
      const lists = await api.get("/v1/runs");
      expect([lists.status, lists.body.code]).toEqual([503, "overloaded"]);
      expect((await api.get("/healthz")).status).toBe(200);
      await server.restart();
      await book.more(30);
      endedAtMs.push(Date.now());
    });
    await expectSettled(api, book, heard, endedAtMs);
    await expectCaughtUp(api);
    expectClearLines([api, projector, recipients, sender], /^PostgreSQL at 127\.0\.0\.1:\d+ cannot/);
  }, 90_000);
});

describe("the way to EventStoreDB that is cut between a commit and its answer", () => {
  it("costs a client nothing: one event, whose answer it gets, or gets when it asks again", async () => {
    const server = await startEventStoreDb();
    onTestFinished(() => server.stop());
    const { api } = await spawnCluster<"api" | "projector">({
      processes: { api: "api", projector: "projector" },
      env: { RUNLEDGER_EVENT_STORE_URL: server.address },
    });
    for (const how of ["unavailable", "cancelled"] as const) {
      await server.loseAnswers({ times: 1, how });
      const created = await api.create({ input: { how } }, how);
      expect(created.status, how).toBe(201);
      const again = await api.create({ input: { how } }, how);
      expect(again.text).toBe(created.text);
      expect(again.headers.get("idempotency-replayed")).toBe("true");
    }

    // Stored, not answered, and then nobody is there for a while.
    await server.holdAnswers();
    const before = (await server.counts()).stored;
    const asking = api.create({ input: "cut" }, "cut");
    await vi.waitUntil(async () => (await server.counts()).stored > before, PATIENCE);
    await server.stopListening();
    await server.releaseAnswers();
    await server.listen();
    const asked = await asking;
    const answered = asked.status === 503 ? await api.create({ input: "cut" }, "cut") : asked;
    expect([answered.status, answered.body.run.status]).toEqual([201, "pending"]);

    const created = await api.events("&type=run.created");
    expect(created.map(({ data }) => data.input)).toEqual([
      ...[{ how: "unavailable" }, { how: "cancelled" }, "cut"],
    ]);
  }, 60_000);
});
