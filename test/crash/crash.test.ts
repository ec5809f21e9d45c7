import { describe, expect, it } from "vitest";
import { cell } from "../support/cell.ts";
import type { EndpointMade } from "../support/client.ts";
import { openReceiver } from "../support/receiver.ts";
import { runProgram } from "../support/run-program.ts";
import { type SpawnedServer, spawnServer } from "../support/spawn-server.ts";
import { dumpViews } from "../support/views.ts";
import { type Book, openBook, randomFrom } from "./book.ts";
import { checkAcknowledged, checkDeliveries, differences, openRuns, owed, readLog } from "./checks.ts";
import { produce } from "./stories.ts";

const ROUNDS = cell.isDefault ? 50 : 10;
const PRODUCERS = 8;
const ANSWERS_MAX = 150;

/** Two endpoints at one receiver, which is too busy now and then. */
async function openEndpoints(server: SpawnedServer, random: () => number) {
  const receiver = await openReceiver();
  receiver.answerUsually(() => ({ status: random() < 0.03 ? 503 : 204 }));
  const scheduleMs = Array.from({ length: 20 }, (_, step) => (step === 0 ? 0 : 10));
  const endpoints: { id: string; recipientRuns: boolean }[] = [];
  for (const recipientRuns of [false, true]) {
    const { body } = await server.post<EndpointMade>("/v1/webhook-endpoints", {
      url: `${receiver.url}/${recipientRuns ? "all" : "runs"}`,
      recipientRuns,
      scheduleMs,
    });
    endpoints.push({ id: body.endpoint.id, recipientRuns });
  }
  return { receiver, endpoints };
}

/** Commands that were answered, sent again: the same answer, byte for byte. */
async function checkReplays(book: Book, random: () => number): Promise<void> {
  const answered = book.sent.filter(({ answer }) => answer !== undefined);
  const some = Array.from({ length: 15 }, () => answered[Math.floor(random() * answered.length)]);
  for (const command of [...some, ...answered.filter(({ lost }) => lost > 0).slice(-5)]) {
    if (command === undefined) continue;
    const again = await book.again(command);
    // Of items with ids of their own it is said, one by one, whether they are new.
    const text = command.answer?.text.replaceAll('"outcome":"recorded"', '"outcome":"replayed"');
    expect(again.text).toBe(text);
    if (command.commandId !== undefined) expect(again.headers.get("idempotency-replayed")).toBe("true");
  }
}

/** Kills the server: in the middle of its work, or, now and then, while it is starting. */
async function killRounds(server: SpawnedServer, book: Book, random: () => number): Promise<number[]> {
  const killedAtMs: number[] = [];
  const kill = async () => {
    book.down();
    killedAtMs.push(Date.now());
    await server.kill("SIGKILL");
    killedAtMs.push(Date.now());
  };
  const pass = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms)); // The moment of the kill.
  while (killedAtMs.length < 2 * ROUNDS) {
    book.up();
    await book.more(1 + Math.floor(random() * ANSWERS_MAX));
    await pass(random() * 10);
    await kill();
    if (random() < 0.1) {
      server.start();
      await pass(random() * 800);
      await kill();
    }
    await server.restart();
    await checkReplays(book, random);
  }
  return killedAtMs;
}

/** Waits until every run has ended and nothing is owed any more; answers with the log as it is then. */
async function settled(server: SpawnedServer, ledger: string, endpoints: Parameters<typeof owed>[2]) {
  for (;;) {
    // What comes while the log is read is not waited for once more.
    const { body: before } = await server.get<{ head: string }>("/readyz");
    const log = await readLog(server);
    const owing = owed(ledger, log, endpoints);
    const delivered = log.attempts.filter(({ data }) => data.outcome === "delivered").length;
    if (openRuns(log.runs).length === 0 && delivered >= owing.size) return { log, owing };
    const ends = "&type=run.completed&type=delivery.responded&type=delivery.cancelled";
    await server.untilEvents(ends, (more) => more.length > 0, before.head);
  }
}

describe("a server that is killed again and again", () => {
  it("loses nothing, doubles nothing, and sends everything", async () => {
    const seed = Number(process.env.RUNLEDGER_CRASH_SEED ?? Math.floor(Math.random() * 2 ** 32));
    const random = randomFrom(seed);
    const server = await spawnServer();
    const { body: health } = await server.get<{ ledger: string }>("/healthz");
    const { receiver, endpoints } = await openEndpoints(server, randomFrom(seed + 1));
    const book = openBook(server);
    const stopping = new AbortController();
    const producers = Array.from({ length: PRODUCERS }, (_, index) =>
      produce({ book, random: randomFrom(seed + 2 + index), name: `producer-${index}` }, stopping.signal),
    );
    try {
      const killedAtMs = await Promise.race([killRounds(server, book, random), ...producers.map(never)]);
      book.up();
      stopping.abort();
      await Promise.all(producers);
      const { log, owing } = await settled(server, health.ledger, endpoints);

      checkAcknowledged(book, log);
      const told = checkDeliveries(owing, log, receiver, killedAtMs);
      expect(told.arrived).toBe(owing.size);

      const { body: ready } = await server.get<{ head: string }>("/readyz");
      expect((await server.get(`/v1/runs?minPosition=${ready.head}`)).status).toBe(200);
      expect(await server.kill("SIGTERM")).toBe(0);
      const verified = await runProgram("services/verify.ts", { data: server.folder });
      expect(verified).toMatchObject({ code: 0, err: "" });
      expect(verified.out).toMatch(/^verified \d+ events/);
      const live = await dumpViews(server.folder);
      expect((await runProgram("services/rebuild.ts", { data: server.folder })).code).toBe(0);
      expect(differences(live, await dumpViews(server.folder))).toEqual([]);
      process.stdout.write(
        `seed ${seed}: ${killedAtMs.length / 2} kills, ${book.sent.length} commands, ` +
          `${log.runs.length} events of runs, ${told.arrived} deliveries ` +
          `(${told.unknown} attempts unknown, ${told.again} arrived again)\n`,
      );
    } catch (error) {
      throw new Error(`RUNLEDGER_CRASH_SEED=${seed} had these chances`, { cause: error });
    } finally {
      stopping.abort();
    }
  }, 240_000);
});

/** Rejects where a producer does, and otherwise leaves the race to the others. */
const never = (producer: Promise<void>): Promise<never> => producer.then(() => new Promise<never>(() => {}));
