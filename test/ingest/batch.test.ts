import { describe, expect, it } from "vitest";
import { type Payload, takeBatch } from "../../services/ingest/batch.ts";
import { openGate } from "../../services/ingest/gate.ts";
import type { Message, Verdict } from "../../services/ingest/message.ts";
import { Fault, openTaking } from "../../services/ingest/taking.ts";
import { Overloaded, StorageFull } from "../../shared/event-store/event-store.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import { creates, readerOf, received, reports, sent } from "../support/ingesting.ts";
import { openTestLedger } from "../support/open-ledger.ts";

type Sent = ReturnType<typeof sent>;

/** Takes messages from a partition that nobody else has, as the client would hand them over. */
function partition(ledger: Ledger, more: Partial<Payload> = {}) {
  const offsets: string[] = [];
  const committed: string[] = [];
  const answered: Message[] = [];
  const verdicts: [string, string][] = [];
  const take = openTaking({ ledger, inFlightMax: 16 });
  const deps = {
    reader: readerOf(ledger),
    take,
    clock: systemClock,
    async answer(messages: readonly Message[], given: ReadonlyMap<Message, Verdict>) {
      answered.push(...messages.filter((each) => "code" in (given.get(each) ?? {})));
    },
    onMessage(message: Message, verdict: Verdict) {
      verdicts.push([message.offset, "code" in verdict ? verdict.code : verdict.outcome]);
    },
  };
  async function taken(commands: readonly Sent[], first = 0) {
    const messages = commands.map((each, index) => received(each, first + index));
    const batch = { topic: "t.commands", partition: 0, messages } as unknown as Payload["batch"];
    await takeBatch(deps, {
      batch,
      heartbeat: async () => {},
      resolveOffset: (offset) => void offsets.push(offset),
      async commitOffsetsIfNecessary(given) {
        for (const { partitions } of given?.topics ?? [])
          committed.push(...partitions.map(({ offset }) => offset));
      },
      isRunning: () => true,
      isStale: () => false,
      ...more,
    });
  }
  return { taken, deps, offsets, committed, answered, verdicts };
}

/** The same ledger, but for what happens to commands on some streams, or that create under some ids. */
const failing = (ledger: Ledger, error: (named: string) => Error | undefined): Ledger => ({
  ...ledger,
  record: async (stream, ...rest) => {
    const thrown = error(stream);
    if (thrown) throw thrown;
    return ledger.record(stream, ...rest);
  },
  create: async (prefix, command, stream) => {
    const thrown = error(`${command.items[0]?.commandId}`);
    if (thrown) throw thrown;
    return ledger.create(prefix, command, stream);
  },
});

describe("messages of one partition", () => {
  it("are recorded in the order of their run, and the offset goes on over all of them", async () => {
    const { ledger } = await openTestLedger();
    const { taken, offsets, committed, verdicts } = partition(ledger);
    await taken([
      creates("a"),
      creates("b"),
      reports("a-1", "a", "run.started"),
      reports("b-1", "b", "run.started"),
      reports("a-2", "a", "run.completed", { output: { ok: true } }),
    ]);
    expect(verdicts.map(([, word]) => word)).toEqual(Array(5).fill("recorded"));
    expect([offsets, committed]).toEqual([["4"], ["5"]]);
  });

  it("are replayed when they are read again", async () => {
    const { ledger, store } = await openTestLedger();
    const { taken, verdicts } = partition(ledger);
    const all = [creates("a"), reports("a-1", "a", "run.started"), creates("p", { recipients: ["x", "y"] })];
    await taken(all);
    const head = await store.head();
    await taken(all);
    expect(verdicts.map(([, word]) => word)).toEqual([
      ...Array(3).fill("recorded"),
      ...Array(3).fill("replayed"),
    ]);
    expect(await store.head()).toBe(head);
  });

  it("that are bad are answered, and do not keep the others", async () => {
    const { ledger } = await openTestLedger();
    const { taken, answered, verdicts, committed } = partition(ledger);
    await taken([
      reports("x", "nobody", "run.started"),
      creates("a"),
      sent("y", "not json"),
      reports("a-1", "a", "run.completed"),
      reports("a-2", "a", "run.started"),
      sent(undefined, { type: "run.created", data: { workflow: "w" } }),
      { ...creates("a"), value: JSON.stringify({ type: "run.created", data: { workflow: "other" } }) },
    ]);
    expect(verdicts.map(([, word]) => word)).toEqual([
      "not_found",
      "recorded",
      "malformed_json",
      "transition_not_allowed",
      "recorded",
      "invalid_command_id",
      "idempotency_conflict",
    ]);
    expect(answered.map(({ offset }) => offset)).toEqual(["0", "2", "3", "5", "6"]);
    expect(committed).toEqual(["7"]);
  });

  it("are not settled before their answers are: the offset stays", async () => {
    const { ledger } = await openTestLedger();
    const { taken, deps, offsets, committed } = partition(ledger);
    deps.answer = async () => {
      throw new Fault("no broker");
    };
    await expect(taken([creates("a"), sent("y", "not json")])).rejects.toBeInstanceOf(Fault);
    expect([offsets, committed]).toEqual([[], []]);
  });

  it.each([new StorageFull("full"), new Overloaded("much"), new Error("Connection terminated")])(
    "wait for a store that says %s; those before are settled, of the same run nothing after is decided",
    async (error) => {
      const { ledger } = await openTestLedger();
      let away = true;
      const of = failing(ledger, (named) => (away && named === "b" ? error : undefined));
      const { taken, committed, verdicts, answered } = partition(of);
      const all = [creates("a"), creates("b"), reports("b-1", "b", "run.started"), creates("c")];
      await expect(taken(all)).rejects.toMatchObject({ code: "ingest_fault", cause: error });
      expect([committed, verdicts]).toEqual([["1"], [["0", "recorded"]]]);
      for (let tries = 0; tries < 5; tries++)
        await expect(taken(all.slice(1), 1)).rejects.toBeInstanceOf(Fault);
      expect(answered).toEqual([]);
      away = false;
      await taken(all.slice(1), 1);
      expect(verdicts.slice(1).map(([, word]) => word)).toEqual(["recorded", "recorded", "replayed"]);
    },
  );

  it("that break our own code are parked at the third try, and alone", async () => {
    const { ledger } = await openTestLedger();
    const of: Ledger = {
      ...ledger,
      async record(stream, command, options) {
        if (command.items.some(({ commandId }) => commandId === "a-2")) throw new TypeError("of no use");
        return ledger.record(stream, command, options);
      },
    };
    const { taken, committed, verdicts } = partition(of);
    const all = [
      creates("a"),
      reports("a-1", "a", "run.started"),
      reports("a-2", "a", "run.noted", { name: "n", outcome: "ok" }),
      reports("a-3", "a", "run.completed"),
    ];
    await expect(taken(all)).rejects.toBeInstanceOf(Fault);
    await expect(taken(all.slice(2), 2)).rejects.toBeInstanceOf(Fault);
    await taken(all.slice(2), 2);
    expect(verdicts).toEqual([
      ["0", "recorded"],
      ["1", "recorded"],
      ["2", "internal"],
      ["3", "recorded"],
    ]);
    expect(committed).toEqual(["2", "4"]);
  });

  it("are left where the consumer is stopped, and where its place in the group is lost", async () => {
    const { ledger, store } = await openTestLedger();
    const head = await store.head();
    const stopped = partition(ledger, { isRunning: () => false });
    await stopped.taken([creates("a")]);
    const stale = partition(ledger, { isStale: () => true });
    await stale.taken([creates("a")]);
    expect([await store.head(), ...stopped.committed, ...stale.committed]).toEqual([head]);

    const rebalancing = new Error("the group is rebalancing");
    const lost = partition(ledger, { heartbeat: () => Promise.reject(rebalancing) });
    lost.deps.clock = { now: Date.now, sleep: async () => {} };
    await expect(lost.taken([creates("b")])).rejects.toBe(rebalancing);
  });

  it("are decided on the run that is there where its creation is refused, or was made before", async () => {
    const { ledger } = await openTestLedger();
    await partition(ledger).taken([creates("a"), creates("b"), reports("b-1", "b", "run.started")]);
    const { taken, verdicts } = partition(ledger);
    await taken([
      { ...creates("a"), value: JSON.stringify({ type: "run.created", data: { workflow: "other" } }) },
      reports("a-1", "a", "run.started"),
      creates("b"),
      reports("b-1", "b", "run.started"),
      reports("b-2", "b", "run.completed"),
      creates("c", { recipients: ["x"] }),
      reports("c-1", "c", "run.noted", { name: "n", outcome: "ok" }),
    ]);
    expect(verdicts.map(([, word]) => word)).toEqual([
      "idempotency_conflict",
      "recorded",
      "replayed",
      "replayed",
      "recorded",
      "recorded",
      "recorded",
    ]);
  });

  it("share appends where they are many of one run", async () => {
    const { ledger } = await openTestLedger();
    let calls = 0;
    const of: Ledger = { ...ledger, record: (...all) => ledger.record(...all).finally(() => calls++) };
    const { taken, verdicts } = partition(of);
    const notes = Array.from({ length: 300 }, (_, at) =>
      reports(`n-${at}`, "a", "run.noted", { name: `n${at}`, outcome: "ok" }),
    );
    await taken([creates("a"), ...notes]);
    expect(verdicts.every(([, word]) => word === "recorded")).toBe(true);
    expect(calls).toBe(1);
  });
});

describe("a gate", () => {
  it("lets in as much as fits, in order, and what never fits alone", async () => {
    const gate = openGate(3);
    const inside: string[] = [];
    const leaves = new Map<string, () => void>();
    const enter = async (name: string, weight: number) => {
      const leave = await gate.enter(weight);
      inside.push(name);
      leaves.set(name, leave);
    };
    const all = [enter("a", 1), enter("b", 2), enter("huge", 9), enter("c", 1)];
    await Promise.all(all.slice(0, 2));
    expect(inside).toEqual(["a", "b"]);
    leaves.get("a")?.();
    leaves.get("b")?.();
    await all[2];
    expect(inside).toEqual(["a", "b", "huge"]);
    leaves.get("huge")?.();
    await all[3];
    expect(inside).toEqual(["a", "b", "huge", "c"]);
  });
});
