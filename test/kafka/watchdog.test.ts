import type { Consumer } from "kafkajs";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { keepConsuming, QuietConsumer, watchConsumer } from "../../shared/kafka/watchdog.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import { kafkaOf, keptLog } from "../support/kafka.ts";
import { manualClock } from "../support/manual-clock.ts";
import { startKafka } from "../support/servers/kafka.ts";
import { describeNeeds, kafkaOfItsOwn } from "../support/skip.ts";

type Listener = (event: { payload: unknown }) => void;

/** A consumer that says what a test has it say. */
function fakeConsumer(connect: () => Promise<void> = async () => {}) {
  const listeners = new Map<string, Set<Listener>>();
  const on = (name: string, listener: Listener) => {
    const known = listeners.get(name) ?? new Set();
    listeners.set(name, known.add(listener));
    return () => void known.delete(listener);
  };
  return {
    consumer: { on, connect, disconnect: vi.fn(async () => {}) } as unknown as Consumer, // All that is used.
    say: (name: string, payload: unknown = {}) =>
      listeners.get(`consumer.${name}`)?.forEach((listener) => void listener({ payload })),
    listening: () => [...listeners.values()].reduce((sum, { size }) => sum + size, 0),
  };
}

const stop = () => {
  const controller = new AbortController();
  onTestFinished(() => controller.abort());
  return controller;
};

describe("a consumer that is watched", () => {
  it("may say nothing for a while", async () => {
    const [clock, fake, end] = [manualClock(), fakeConsumer(), stop()];
    const watching = watchConsumer(fake.consumer, { clock, signal: end.signal, quietMs: 1000 });
    for (let signs = 0; signs < 5; signs++) {
      await clock.advance(900);
      fake.say(signs % 2 === 0 ? "fetch" : "heartbeat");
    }
    end.abort();
    expect(await watching).toBeUndefined();
    expect(fake.listening()).toBe(0);
  });

  it("is found quiet when nothing comes of it", async () => {
    const [clock, fake, end] = [manualClock(), fakeConsumer(), stop()];
    const watching = watchConsumer(fake.consumer, { clock, signal: end.signal, quietMs: 1000 });
    const quiet = expect(watching).rejects.toThrow(QuietConsumer);
    await clock.advance(500);
    fake.say("fetch");
    await clock.advance(1000);
    await quiet;
    expect(fake.listening()).toBe(0);
    expect(clock.sleeping).toBe(0);
  });

  it("is found crashed at once, with the reason", async () => {
    const [clock, fake, end] = [manualClock(), fakeConsumer(), stop()];
    const watching = watchConsumer(fake.consumer, { clock, signal: end.signal });
    const reason = new Error("the broker is gone");
    fake.say("crash", { error: reason });
    await expect(watching).rejects.toBe(reason);
  });

  it("is not waited for when nobody wants it any more", async () => {
    const end = stop();
    end.abort();
    const watching = watchConsumer(fakeConsumer().consumer, { clock: manualClock(), signal: end.signal });
    expect(await watching).toBeUndefined();
  });
});

describe("a consumer that is kept running", () => {
  function keep({ start = async () => {} }: { start?: () => Promise<void> } = {}) {
    const [clock, log, onLost] = [manualClock(), keptLog(), vi.fn()];
    const made: ReturnType<typeof fakeConsumer>[] = [];
    const consumer = () => {
      const fake = fakeConsumer();
      made.push(fake);
      return fake.consumer;
    };
    const kept = keepConsuming({
      kafka: { consumer, log: log.log },
      clock,
      config: () => ({ groupId: `group-${made.length}` }),
      start,
      quietMs: 1000,
      onLost,
    });
    onTestFinished(() => kept.close());
    return { clock, log, onLost, made, kept };
  }

  it("is replaced after it went quiet, and that is said and counted", async () => {
    const { clock, log, onLost, made, kept } = keep();
    await clock.advance(1000);
    expect(kept.restarts()).toBe(1);
    expect(made[0]?.consumer.disconnect).toHaveBeenCalledOnce();
    expect(log.named("kafka.consumer_restarted")).toMatchObject([{ level: "warn", fields: { restarts: 1 } }]);
    await clock.advance(250);
    expect(made).toHaveLength(2);
    made[1]?.say("group_join");
    expect(log.named("kafka.consumer_back")).toMatchObject([{ level: "info", fields: { group: "group-1" } }]);
    expect(onLost).toHaveBeenCalledOnce();
  });

  it("is replaced after it crashed", async () => {
    const { clock, made, kept } = keep();
    made[0]?.say("crash", { error: new Error("no") });
    await vi.waitFor(() => expect([kept.restarts(), clock.sleeping]).toEqual([1, 1]));
    await clock.advance(250);
    expect(made).toHaveLength(2);
  });

  it("is replaced without an alarm where the broker only asks it to come again", async () => {
    const { clock, log, onLost, made, kept } = keep();
    const passing = Object.assign(new Error("loading"), { retriable: true });
    made[0]?.say("crash", { error: passing });
    await vi.waitFor(() => expect([kept.restarts(), clock.sleeping]).toEqual([1, 1]));
    await clock.advance(250);
    expect(log.lines.map(({ level }) => level)).toEqual(["info"]);
    expect(onLost).not.toHaveBeenCalled();
    made[1]?.say("crash", { error: passing });
    await vi.waitFor(() => expect(onLost).toHaveBeenCalledOnce());
  });

  it("is tried less and less often where it cannot start, and one line says so", async () => {
    const { clock, log, onLost, made } = keep({ start: () => Promise.reject(new Error("away")) });
    await vi.waitFor(() => expect(log.named("kafka.consumer_restarted")).toHaveLength(1));
    for (const waitMs of [250, 500, 1000, 2000, 2000]) {
      const before = made.length;
      await clock.advance(waitMs - 1);
      expect(made.length).toBe(before);
      await clock.advance(1);
      expect(made.length).toBe(before + 1);
    }
    expect(log.lines.filter(({ level }) => level === "warn")).toHaveLength(1);
    expect(onLost).toHaveBeenCalledOnce();
  });

  it("ends while it starts, while it runs and while it waits to be tried again", async () => {
    const never = keep({ start: () => new Promise(() => {}) });
    await never.kept.close();
    expect(never.made[0]?.consumer.disconnect).toHaveBeenCalledOnce();
    const running = keep();
    await running.kept.close();
    const waiting = keep({ start: () => Promise.reject(new Error("away")) });
    await waiting.clock.untilSleeping(1);
    await waiting.kept.close();
    expect(waiting.made).toHaveLength(1);
  });
});

describeNeeds(kafkaOfItsOwn)("a consumer of a real broker", () => {
  it("reads on after the broker was killed and came back", { timeout: 90_000 }, async () => {
    const broker = await startKafka();
    onTestFinished(() => broker.stop());
    const log = keptLog();
    const kafka = await kafkaOf(broker.address, log.log);
    const topic = kafka.config.topics.events;
    await kafka.ensureTopic(topic, { partitions: 1, config: {} });
    const read: string[] = [];
    const kept = keepConsuming({
      kafka,
      clock: systemClock,
      config: () => ({ groupId: `${topic}-readers`, sessionTimeout: 6000 }),
      async start(consumer) {
        await consumer.connect();
        await consumer.subscribe({ topics: [topic], fromBeginning: true });
        await consumer.run({ eachMessage: async ({ message }) => void read.push(`${message.value}`) });
      },
    });
    onTestFinished(() => kept.close());
    async function send(value: string) {
      const producer = kafka.producer();
      await producer.connect();
      await producer.send({ topic, messages: [{ value }] });
      await producer.disconnect();
    }
    await send("before");
    await vi.waitFor(() => expect(read).toContain("before"), { timeout: 20_000 });
    await broker.kill();
    await vi.waitFor(() => expect(kept.restarts()).toBeGreaterThan(0), { timeout: 30_000 });
    await broker.restart();
    await send("after");
    await vi.waitFor(() => expect(read).toContain("after"), { timeout: 30_000 });
    expect(log.named("kafka.consumer_restarted").filter(({ level }) => level !== "debug")).not.toEqual([]);
    expect(log.named("kafka.consumer_back")).not.toEqual([]);
  });
});
