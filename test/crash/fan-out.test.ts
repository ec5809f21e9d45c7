import { describe, expect, it } from "vitest";
import { cell } from "../support/cell.ts";
import { client, type EventJson } from "../support/client.ts";
import { openLogReader } from "../support/log-reader.ts";
import { type SpawnedServer, spawnServer } from "../support/spawn-server.ts";
import { randomFrom } from "./book.ts";

const RECIPIENTS = 1000;
const recipients = Array.from({ length: RECIPIENTS }, (_, index) => `recipient-${index}`);

/** Sends the creation, and kills the server once the log has so many events more: the parent's, and some
 *  of the children's. */
async function crashWhileCreating(server: SpawnedServer, commandId: string, events: number) {
  const log = await openLogReader(server.folder);
  const [before, after] = [await log.count(), await log.head()];
  const asked = client(server.url, server.key).create({ recipients }, commandId);
  const answered = asked.then(({ status }) => status).catch(() => undefined);
  while ((await log.count()) < before + events) await new Promise(setImmediate);
  await server.kill("SIGKILL");
  await log.close();
  return { after: `${after}`, answered: await answered };
}

const childrenOf = (events: readonly EventJson[], parentId: string | undefined) =>
  events.filter(({ data }) => data.parentId === parentId);

/** Ends every child in one request each for the beginning and the end, and kills the server in the middle
 *  of the second. */
async function endAll(server: SpawnedServer, children: readonly EventJson[], kill: boolean): Promise<void> {
  const items = (type: string) =>
    children.map(({ stream: runId, data }) => ({
      runId,
      type,
      id: `${type}.${runId}.${data.recipientIndex}`,
    }));
  const { body } = await server.post<{ items: { outcome: string }[] }>("/v1/events", items("run.started"));
  expect(new Set(body.items.map(({ outcome }) => outcome))).toEqual(new Set(["recorded"]));
  if (kill) {
    const log = await openLogReader(server.folder);
    const before = await log.count();
    const ending = server.post("/v1/events", items("run.completed")).catch(() => undefined);
    while ((await log.count()) === before) await new Promise(setImmediate);
    await server.kill("SIGKILL");
    await log.close();
    await ending;
    await server.restart();
  }
  const ended = await server.post<{ items: { outcome: string }[] }>("/v1/events", items("run.completed"));
  expect(ended.body.items.every(({ outcome }) => outcome === "recorded" || outcome === "replayed")).toBe(
    true,
  );
}

describe("a server that is killed in the middle of a fan-out of 1,000", () => {
  const seed = Number(process.env.RUNLEDGER_CRASH_SEED ?? Math.floor(Math.random() * 2 ** 32));
  const random = randomFrom(seed);
  const rounds = Array.from({ length: cell.isDefault ? 6 : 2 }, (_, round) => ({
    round,
    retried: round % 2 === 0,
    events: round < 2 ? 1 : 1 + Math.floor(random() * RECIPIENTS),
  }));

  it.each(rounds)(
    `makes exactly 1,000 recipient runs (round $round, seed ${seed}: sent again $retried, killed at $events)`,
    async ({ round, retried, events }) => {
      const server = await spawnServer();
      const { after, answered } = await crashWhileCreating(server, "fan-out", events);
      await server.restart();
      if (retried) {
        const again = await server.create({ recipients }, "fan-out");
        expect(again.status).toBe(201);
        expect(again.headers.get("idempotency-replayed")).toBe("true");
        expect(new Set(again.body.recipientRuns.map(({ id }) => id)).size).toBe(RECIPIENTS);
      }
      // The log is waited for, not the clock: who does not send it again leaves the rest to the server.
      const created = await server.untilEvents(
        "&type=run.created",
        (all) => all.filter(({ data }) => data.parentId !== undefined).length >= RECIPIENTS,
        after,
      );
      const [parent] = created.filter(({ data }) => data.recipientCount === RECIPIENTS);
      const children = childrenOf(created, parent?.stream);
      expect(new Set(children.map(({ data }) => data.recipientIndex)).size).toBe(RECIPIENTS);
      expect(new Set(children.map(({ data }) => data.recipient)).size).toBe(RECIPIENTS);

      await endAll(server, children, round % 3 === 0);
      const isEnd = ({ stream, type }: EventJson) => stream === parent?.stream && type === "run.completed";
      const ends = await server.untilEvents("&type=run.completed", (all) => all.some(isEnd), after);
      expect(ends.filter(isEnd).map(({ data }) => data)).toEqual([
        { recipientRuns: { total: RECIPIENTS, byStatus: { completed: RECIPIENTS } } },
      ]);

      const all = await server.events("&type=run.created", after);
      expect(all).toHaveLength(RECIPIENTS + 1);
      const replayed = await server.create({ recipients }, "fan-out");
      expect(replayed.body.recipientRuns).toHaveLength(RECIPIENTS);
      const shown = await server.run(parent?.stream ?? "", ends.find(isEnd)?.position);
      expect(shown.body).toMatchObject({ status: "completed", recipientRuns: { total: RECIPIENTS } });
      expect(answered === undefined || answered === 201).toBe(true);
    },
    60_000,
  );
});
