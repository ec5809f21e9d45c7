import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { CompressionCodecs, CompressionTypes } from "kafkajs";
import { beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { StorageFull } from "../../shared/event-store/event-store.ts";
import { ensureWorkspace } from "../../shared/ledger/keys.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { openTopics, startIngest } from "../support/ingest-topics.ts";
import { creates, reports, sent } from "../support/ingesting.ts";
import { caller, openTestLedger } from "../support/open-ledger.ts";
import { startKafka } from "../support/servers/kafka.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

async function openLedger() {
  const { ledger, store } = await openTestLedger();
  await ensureWorkspace(ledger, { ...caller, workspace: "default" });
  return { ledger, store };
}

/** Runs of three messages each. */
const runs = (from: number, until: number) =>
  Array.from({ length: until - from }, (_, at) => [
    creates(`r${from + at}`),
    reports(`r${from + at}-s`, `r${from + at}`, "run.started"),
    reports(`r${from + at}-c`, `r${from + at}`, "run.completed"),
  ]).flat();

/** How many events of runs there are, and how many of them are there twice. */
async function recordedIn({ store }: { store: Pick<Ledger["store"], "readAll"> }) {
  const ids: string[] = [];
  for await (const { id, type } of store.readAll(0n)) if (type.startsWith("run.")) ids.push(id);
  return { events: ids.length, twice: ids.length - new Set(ids).size };
}

describe("while the store is away", () => {
  it("the ingress waits, drops and parks nothing, and goes on by itself", async () => {
    const [{ ledger, store }, topics] = await Promise.all([openLedger(), openTopics({ partitions: 2 })]);
    let away = false;
    const orFull = <T>(work: () => Promise<T>): Promise<T> =>
      away ? Promise.reject(new StorageFull("full")) : work();
    const ingest = startIngest(
      {
        ...ledger,
        record: (...all) => orFull(() => ledger.record(...all)),
        create: (...all) => orFull(() => ledger.create(...all)),
      },
      topics,
    );
    await topics.send(runs(0, 10));
    await ingest.settled(30);
    away = true;
    await topics.send(runs(10, 20));
    await vi.waitFor(() => expect(ingest.isPaused()).toBe(true), 10_000);
    expect(ingest.told).toHaveLength(30);
    away = false;
    await ingest.settled(60);
    await vi.waitFor(() => expect(ingest.isPaused()).toBe(false));
    expect(ingest.counts().recorded).toBeGreaterThanOrEqual(30);
    expect(await recordedIn({ store })).toEqual({ events: 60, twice: 0 });
    expect(ingest.lines().map(({ message }) => message)).toEqual(["ingest.paused", "ingest.resumed"]);
    expect(await topics.read(topics.config.topics.parked)).toEqual([]);
    expect(await topics.read(topics.config.topics.refusals)).toEqual([]);
  }, 40_000);
});

describe("a codec that cannot be read", () => {
  it("stops its partition with one line, and no other", async () => {
    const [{ ledger }, topics] = await Promise.all([openLedger(), openTopics({ partitions: 2 })]);
    const producer = topics.kafka.producer();
    await producer.connect();
    onTestFinished(() => producer.disconnect());
    const { commands: topic } = topics.config.topics;
    await producer.send({ topic, messages: runs(0, 3).map((each) => ({ ...each, partition: 0 })) });
    await withSnappy(() =>
      producer.send({
        topic,
        messages: runs(3, 4).map((each) => ({ ...each, partition: 0 })),
        compression: CompressionTypes.Snappy,
      }),
    );
    const ingest = startIngest(ledger, topics);
    await ingest.settled(9);
    await vi.waitFor(() => expect(ingest.unreadable()).toEqual([0]), 10_000);
    await producer.send({ topic, messages: runs(4, 8).map((each) => ({ ...each, partition: 1 })) });
    await ingest.settled(21);
    expect(ingest.counts()).toEqual({ recorded: 21 });
    expect(ingest.lines().map(({ message }) => message)).toEqual(["ingest.unreadable"]);
    expect(ingest.lines()[0]?.fields).toMatchObject({
      partition: 0,
      err: { code: "unreadable_codec", message: expect.stringContaining("offset 9") },
    });
  }, 40_000);
});

/** Snappy as brokers take it, of literals alone. */
async function withSnappy<T>(work: () => Promise<T>): Promise<T> {
  const before = CompressionCodecs[CompressionTypes.Snappy];
  CompressionCodecs[CompressionTypes.Snappy] = () => ({
    async compress({ buffer }: { buffer: Buffer }) {
      const length = Buffer.of((buffer.length & 0x7f) | 0x80, buffer.length >> 7);
      const literal = Buffer.of(0xf4, (buffer.length - 1) & 0xff, (buffer.length - 1) >> 8);
      const block = Buffer.concat([length, literal, buffer]);
      const size = Buffer.alloc(4);
      size.writeInt32BE(block.length);
      const head = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
      return Buffer.concat([head, size, block]);
    },
    decompress: () => Promise.reject(new Error("nobody reads it here")),
  });
  return work().finally(() => (CompressionCodecs[CompressionTypes.Snappy] = before));
}

describe("a rebalance while messages are worked on", () => {
  it("loses nothing and doubles nothing", async () => {
    const [{ ledger, store }, topics] = await Promise.all([openLedger(), openTopics({ partitions: 4 })]);
    const one = startIngest(ledger, topics);
    await topics.send(runs(0, 200));
    await one.settled(100);
    const two = startIngest(ledger, topics);
    let sent = 200;
    while (two.told.length === 0) {
      await topics.send(runs(sent, sent + 100));
      sent += 100;
    }
    await one.stop();
    await topics.send(runs(sent, sent + 200));
    const events = 3 * (sent + 200);
    await vi.waitFor(async () => expect(await recordedIn({ store })).toEqual({ events, twice: 0 }), 15_000);
    expect(Object.keys({ ...one.counts(), ...two.counts() })).toContain("recorded");
    expect(await topics.read(topics.config.topics.refusals)).toEqual([]);
  }, 60_000);
});

describe("a process that is killed while it takes messages", () => {
  it("leaves them to the next one, which records the rest, and none twice", async () => {
    const [topics, folder] = [await openTopics({ partitions: 2 }), temporaryFolder()];
    const { commands } = topics.config.topics;
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("RUNLEDGER_"));
    const env = {
      ...Object.fromEntries(inherited),
      RUNLEDGER_KAFKA: topics.address,
      RUNLEDGER_KAFKA_TOPIC_PREFIX: commands.slice(0, -"commands".length),
    };
    const path = fileURLToPath(new URL("../support/ingest-process.ts", import.meta.url));
    const start = () => {
      const child = fork(path, [folder], { env, stdio: ["ignore", "ignore", "inherit", "ipc"] });
      onTestFinished(() => void child.kill("SIGKILL"));
      return child;
    };
    const nothingLeft = () =>
      vi.waitFor(async () => expect(await topics.left()).toBe(0), { timeout: 60_000, interval: 200 });
    for (let from = 0; from < 3000; from += 500) await topics.send(runs(from, from + 500));
    for (const settled of [1, 2000]) {
      const child = start();
      const reached = new Promise<void>((resolve) => {
        child.on("message", (count) => Number(count) >= settled && resolve());
      });
      // Where the one before got further than it was to, less may be left.
      await (settled === 1 ? reached : Promise.race([reached, nothingLeft()]));
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    const last = start();
    await nothingLeft();
    last.kill("SIGKILL");
    await once(last, "exit");
    const { store } = await openTestLedger({ folder });
    expect(await recordedIn({ store })).toEqual({ events: 9000, twice: 0 });
    expect(await topics.read(topics.config.topics.refusals)).toEqual([]);
  }, 150_000);
});

describe("a broker that is killed and comes back", () => {
  let broker: Awaited<ReturnType<typeof startKafka>>;
  beforeAll(async () => {
    broker = await startKafka();
    return () => broker.stop();
  }, 60_000);

  it("is found again by itself, and every message has its effect once", async () => {
    const [{ ledger, store }, topics] = await Promise.all([
      openLedger(),
      openTopics({ partitions: 2, brokers: broker.address }),
    ]);
    const ingest = startIngest(ledger, topics);
    await topics.send([...runs(0, 500), sent("bad", "{")]);
    await ingest.settled(300);
    await broker.kill();
    await broker.restart();
    await vi.waitFor(() => topics.send(runs(500, 700)), { timeout: 30_000, interval: 500 });
    await vi.waitFor(async () => expect(await topics.left()).toBe(0), { timeout: 60_000, interval: 500 });
    expect(await recordedIn({ store })).toEqual({ events: 2100, twice: 0 });
    expect(ingest.counts().malformed_json).toBeGreaterThanOrEqual(1);
  }, 120_000);
});
