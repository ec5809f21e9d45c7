import { describe, expect, it, onTestFinished, vi } from "vitest";
import { openReplays } from "../../services/replays/replays.ts";
import type { Delivery } from "../../shared/domain/delivery/delivery.ts";
import { runOwingTypes } from "../../shared/domain/endpoint/events.ts";
import { createEndpointHistory } from "../../shared/domain/endpoint/history.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { Replay } from "../../shared/domain/replay/replay.ts";
import { streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import { manualClock } from "../support/manual-clock.ts";
import { command, created, did, openTestLedger } from "../support/open-ledger.ts";

const config = {
  types: runOwingTypes,
  recipientRuns: false,
  bodyVersion: 1,
  status: "enabled",
  secretKeyIds: ["key_1"],
};

/** A log with so many runs that ended, then an endpoint, and followers that are told of what comes. */
async function withReplays(runs: number) {
  const { ledger, store } = await openTestLedger();
  const clock = manualClock(Date.now());
  const endpoints = createEndpointHistory();
  for (let each = 0; each < runs; each++) {
    const { stream } = await ledger.create("run", command(created()));
    await ledger.record(stream, command([did("run.started"), did("run.completed")]));
  }
  const endpoint = (
    await ledger.create("endpoint", command(did("endpoint.created", config, { url: "https://a.test/" })))
  ).stream;
  const faults: Error[] = [];
  let next = 0n;
  const stopping: AbortController[] = [];

  /** A follower that begins here, and is told of what comes. */
  function follow(open: readonly string[] = []) {
    const follower = openReplays({
      ledger,
      clock,
      endpoints,
      async *openReplays() {
        yield* open;
      },
      onFault: (error) => faults.push(error),
    });
    const stop = new AbortController();
    stopping.push(stop);
    const running = follower.run(stop.signal);
    onTestFinished(() => stop.abort());
    const end = async () => {
      stop.abort();
      await running;
    };
    /** Tells it all that was recorded since somebody was told last. */
    const tell = async () => {
      for await (const event of store.readAll(next)) {
        endpoints.take(event);
        follower.take(event);
        next = event.position;
      }
    };
    return { ...follower, end, tell };
  }

  async function asked(data: object = {}): Promise<string> {
    const until = `${await store.head()}`;
    const whole = { endpoint: wireIdOf(endpoint), endpointRevision: 0, kind: "missing", from: "0", until };
    return (await ledger.create("replay", command(did("replay.requested", { ...whole, ...data })))).stream;
  }
  const replay = async (stream: string) => (await ledger.find<Replay>(stream))?.state;
  const requests = async (): Promise<RecordedEvent[]> => {
    const found: RecordedEvent[] = [];
    for await (const event of store.readAll(0n, { kind: "delivery" }))
      if (event.type === "delivery.requested") found.push(event);
    return found;
  };
  const types = async (stream: string) =>
    (await ledger.history(stream)).map(({ type }) => type.slice(type.indexOf(".") + 1));
  /** Attempts what was asked for, as a dispatcher would. */
  const attempt = async ({ stream, data }: RecordedEvent) => {
    const { endpoint, event } = data;
    const attempted = { endpoint, endpointRevision: 0, event, attempt: 1, scheduleStep: 0, secretKeyIds: [] };
    const proposed = did("delivery.attempted", { ...attempted, bodySha256: "0".repeat(64) });
    await ledger.record(stream, command(proposed));
  };
  return { ledger, store, clock, endpoint, follow, asked, replay, requests, types, attempt, faults };
}

describe("the replays' follower", () => {
  it("asks for everything once, each in the delivery's own stream, and says when it is done", async () => {
    const { follow, asked, replay, requests, types, endpoint, ledger } = await withReplays(7);
    const follower = follow();
    const stream = await asked({ perSecondMax: 10_000 });
    await follower.tell();
    await vi.waitFor(async () => expect(await replay(stream)).toMatchObject({ status: "completed" }));
    expect(await replay(stream)).toMatchObject({ requested: 7 });
    expect(await types(stream)).toEqual(["requested", "completed"]);
    const all = await requests();
    expect(all.map(({ data }) => data.reason)).toEqual(Array(7).fill("missing"));
    expect(new Set(all.map((event) => event.stream)).size).toBe(7);
    for (const { data, stream: delivery } of all) {
      expect(data).toMatchObject({ replay: wireIdOf(stream), endpoint: wireIdOf(endpoint), revision: 2 });
      const state = (await ledger.find<Delivery>(delivery))?.state;
      expect(state).toMatchObject({ status: "open", requestedBy: wireIdOf(stream), requestedAsOf: 0 });
      expect(streamOf(String(data.source))).toMatch(/^run-/);
    }
  });

  it("asks at the pace that it was given, and keeps its place now and then", async () => {
    const { clock, follow, asked, replay, requests, types } = await withReplays(3);
    const follower = follow();
    const stream = await asked({ perSecondMax: 0.1 });
    await follower.tell();
    for (const count of [1, 2, 3]) {
      await clock.untilSleeping();
      expect((await requests()).length).toBe(count);
      await clock.advance(10_000);
    }
    await follower.settled();
    expect(await types(stream)).toEqual(["requested", ...Array(3).fill("progressed"), "completed"]);
    expect(await replay(stream)).toMatchObject({ requested: 3 });
  });

  it("goes on where another was killed, and asks for nothing twice", async () => {
    const { clock, follow, asked, replay, requests } = await withReplays(3);
    const first = follow();
    const stream = await asked({ perSecondMax: 0.1 });
    await first.tell();
    await clock.untilSleeping();
    await first.end();
    expect((await requests()).length).toBe(1);
    const second = follow([stream]);
    for (const count of [2, 3]) {
      await clock.untilSleeping();
      expect((await requests()).length).toBe(count);
      await clock.advance(10_000);
    }
    await second.settled();
    expect(await replay(stream)).toMatchObject({ status: "completed", requested: 3 });
    expect((await requests()).length).toBe(3);
  });

  it("takes back what was not attempted, also when it had asked for everything", async () => {
    const { clock, ledger, follow, asked, replay, requests, types, attempt, faults } = await withReplays(3);
    const follower = follow();
    const stream = await asked({ perSecondMax: 10 });
    await follower.tell();
    for (let step = 0; step < 3; step++) {
      await clock.untilSleeping();
      await clock.advance(1000);
    }
    await follower.settled();
    const [sent, ...others] = await requests();
    if (sent) await attempt(sent);
    await ledger.record(stream, command(did("replay.cancel_requested")));
    await follower.tell();
    await follower.settled();
    expect(await replay(stream)).toMatchObject({ status: "cancelled", reason: "cancelled", requested: 3 });
    expect(await types(sent?.stream ?? "")).toEqual(["requested", "attempted"]);
    for (const other of others) {
      expect(await types(other.stream)).toEqual(["requested", "cancelled"]);
      expect((await ledger.history(other.stream)).at(-1)?.data.reason).toBe("replay_cancelled");
    }
    expect(faults).toEqual([]);
  });

  it("stops in the middle when it is cancelled", async () => {
    const { clock, ledger, follow, asked, replay, requests } = await withReplays(3);
    const follower = follow();
    const stream = await asked({ perSecondMax: 1 });
    await follower.tell();
    await clock.untilSleeping();
    await ledger.record(stream, command(did("replay.cancel_requested")));
    await follower.tell();
    await follower.settled();
    expect(await replay(stream)).toMatchObject({ status: "cancelled", requested: 1 });
    expect((await requests()).length).toBe(1);
  });

  it.each([
    ["endpoint.disabled", "endpoint_disabled"],
    ["endpoint.deleted", "endpoint_deleted"],
  ])("ends by itself after %s", async (type, reason) => {
    const { clock, ledger, endpoint, follow, asked, replay, requests } = await withReplays(3);
    const follower = follow();
    const stream = await asked({ perSecondMax: 1 });
    await follower.tell();
    await clock.untilSleeping();
    await ledger.record(endpoint, command(did(type)));
    await follower.tell();
    await clock.advance(1000);
    await follower.settled();
    expect(await replay(stream)).toMatchObject({ status: "cancelled", reason });
    expect((await requests()).length).toBe(1);
  });

  it("tries again what failed", async () => {
    const { clock, ledger, follow, asked, replay, faults } = await withReplays(2);
    const follower = follow();
    const record = vi.spyOn(ledger, "record").mockRejectedValueOnce(new Error("the log is away"));
    onTestFinished(() => record.mockRestore());
    const stream = await asked({ perSecondMax: 10_000 });
    await follower.tell();
    await clock.untilSleeping();
    await clock.advance(1000);
    await vi.waitFor(async () => expect(await replay(stream)).toMatchObject({ status: "completed" }));
    expect(faults.map(({ message }) => message)).toEqual(["the log is away"]);
    expect(await replay(stream)).toMatchObject({ requested: 2 });
  });
});
