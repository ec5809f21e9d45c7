import { describe, expect, it, onTestFinished, vi } from "vitest";
import { type HealthDeps, type HealthStep, openHealth } from "../../services/dispatcher/health.ts";
import { evolveHealth, unknownHealth } from "../../shared/domain/endpoint/health.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { OutcomeUnknown } from "../../shared/event-store/event-store.ts";
import { aggregates } from "../../shared/ledger/aggregates.ts";
import { type Ledger, openLedger } from "../../shared/ledger/ledger.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import { derivedId, newId, streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import { manualClock } from "../support/manual-clock.ts";
import { command, did, limits, openTestLedger } from "../support/open-ledger.ts";

const config = {
  types: ["*"],
  recipientRuns: false,
  bodyVersion: 1,
  secretKeyIds: ["key_1"],
  status: "enabled",
};

/** A log with an endpoint, whose answers the test says. */
async function answering() {
  const { ledger, store } = await openTestLedger();
  const created = did("endpoint.created", config, { url: "http://127.0.0.1:9/" });
  const { stream } = await ledger.create("endpoint", command(created));
  const endpoint = wireIdOf(stream);

  async function answers(...outcomes: readonly string[]): Promise<void> {
    for (const outcome of outcomes) {
      const attempted = {
        ...{ endpoint, endpointRevision: 0, event: newId("evt"), attempt: 1, scheduleStep: 0 },
        ...{ bodySha256: "0".repeat(64), secretKeyIds: ["key_1"] },
      };
      const responded = { attempt: 1, outcome, durationMs: 1, endpoint };
      const both = [did("delivery.attempted", attempted), did("delivery.responded", responded)];
      await ledger.record(streamOf(newId("delivery")), command(both), { isNew: true });
    }
  }
  const events = async (after = 0n): Promise<RecordedEvent[]> => Array.fromAsync(store.readAll(after));
  const steps = async () =>
    (await events()).filter(({ stream: of, type }) => of === stream && !/created|updated|deleted/.test(type));

  /** What the views would say of it at a position. */
  async function* knownAt(position: bigint): ReturnType<HealthDeps["knownHealth"]> {
    const until = (await events()).filter((event) => event.position <= position);
    const ours = until.filter((event) => event.stream === stream || event.type === "delivery.responded");
    const place = { id: endpoint, workspace: "default", createdPosition: 2n, updatedPosition: position };
    yield { row: { ...place, ...ours.reduce(evolveHealth, unknownHealth) }, position };
  }

  /** A ladder of a process of its own, told of everything after a position. */
  function watch(from: bigint, knownAs = from, over: Partial<Pick<HealthDeps, "ledger" | "clock">> = {}) {
    const [said, faults, stop] = [[] as HealthStep[], [] as Error[], new AbortController()];
    const health = openHealth({
      ledger: openLedger({ aggregates, limits, ...systemClock, store, wake: () => {} }),
      clock: systemClock,
      from,
      knownHealth: () => knownAt(knownAs),
      onStep: (step) => said.push(step),
      onFault: (error) => faults.push(error),
      ...over,
    });
    let seen = from;
    const follow = async () => {
      for await (const event of store.follow(from, stop.signal)) {
        health.take(event);
        seen = event.position;
      }
    };
    const ended = Promise.all([follow(), health.run(stop.signal)]);
    onTestFinished(async () => {
      stop.abort();
      await ended;
    });
    return { said, faults, health, seen: () => seen };
  }
  return { ledger, store, stream, answers, events, steps, watch };
}

const FAILED = ["dns", "reset", "refused"];
const until = (holds: () => unknown) => vi.waitFor(holds, { timeout: 5000, interval: 10 });

describe("the health ladder", () => {
  it("records a step once, however many come to it, and says what made it do so", async () => {
    const { ledger, store, stream, answers, events, steps, watch } = await answering();
    const head = await store.head();
    const all = [watch(head), watch(head), watch(head)];
    await answers(...FAILED, "tls");
    await until(() => expect(all.every(({ health }) => health.of(stream)?.degraded)).toBe(true));
    const tipping = (await events()).findLast(({ type }) => type === "delivery.responded");
    const scope = `health ${stream}`;
    const from = { ledger: ledger.id, workspace: "default", prefix: "evt" as const, scope };
    expect(await steps()).toMatchObject([
      {
        id: derivedId({ ...from, commandId: tipping?.id ?? "", index: 0 }),
        type: "endpoint.degraded",
        data: { reason: "failing" },
        meta: { actor: { type: "system", id: "dispatcher" }, causationId: tipping?.id },
      },
    ]);
    expect(all.flatMap(({ said }) => said)).toEqual([
      { type: "endpoint.degraded", endpointId: wireIdOf(stream), workspace: "default", reason: "failing" },
    ]);
    expect(all.flatMap(({ faults }) => faults)).toEqual([]);
  });

  it("goes on from what the views know, and counts nothing twice", async () => {
    const { store, stream, answers, steps, watch } = await answering();
    const from = await store.head();
    await answers(...FAILED);
    const { health } = watch(from, await store.head());
    await until(() => expect(health.of(stream)?.failures).toBe(3));
    await answers("delivered", ...FAILED);
    await until(() => expect(health.of(stream)).toMatchObject({ failures: 3, successes: 0 }));
    expect(await steps()).toEqual([]);
    await answers("dns");
    await until(() => expect(health.of(stream)?.degraded).toBe(true));
  });

  it("records at its start what was due and nobody had recorded", async () => {
    const { store, stream, answers, steps, watch } = await answering();
    await answers(...FAILED, "dns");
    const { health } = watch(await store.head());
    await until(() => expect(health.of(stream)?.degraded).toBe(true));
    expect(await steps()).toHaveLength(1);
  });

  it("says a step once that was recorded though nobody could say so, and survives faults", async () => {
    const { ledger, store, stream, answers, steps, watch } = await answering();
    const clock = manualClock();
    let asked = 0;
    const record: Ledger["record"] = async (...asking) => {
      if (++asked === 1) throw new Error("no connection");
      const recorded = await ledger.record(...asking);
      if (asked === 2) throw new OutcomeUnknown("nobody knows");
      return recorded;
    };
    const own = { ...ledger, record };
    const { health, said, faults } = watch(await store.head(), undefined, { ledger: own, clock });
    await answers(...FAILED, "dns");
    await clock.untilSleeping();
    await clock.advance(1000);
    await until(() => expect(health.of(stream)?.degraded).toBe(true));
    expect(said).toHaveLength(1);
    expect(faults.map(({ message }) => message)).toEqual(["no connection", "nobody knows"]);
    expect(await steps()).toHaveLength(1);
  });

  it("leaves an endpoint alone that has moved on since", async () => {
    const { ledger, store, stream, answers, steps, watch } = await answering();
    const before = await store.head();
    await answers(...FAILED, "dns");
    await ledger.record(stream, command(did("endpoint.deleted")));
    const { health, faults, seen } = watch(before);
    await answers("dns");
    const head = await store.head();
    await until(() => expect(seen()).toBe(head));
    expect(health.of(stream)).toBeUndefined();
    expect([await steps(), faults]).toEqual([[], []]);
  });

  it("decides anew on top of what somebody changed meanwhile", async () => {
    const { ledger, store, stream, answers, steps, watch } = await answering();
    const before = await store.head();
    await answers(...FAILED, "dns");
    const place = { url: "http://127.0.0.1:9/" };
    await ledger.record(stream, command(did("endpoint.updated", { ...config, types: ["run.*"] }, place)));
    const { health } = watch(before);
    await until(() => expect(health.of(stream)?.degraded).toBe(true));
    expect(await steps()).toMatchObject([{ type: "endpoint.degraded", revision: 2 }]);
  });
});
