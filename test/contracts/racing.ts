import { expect } from "vitest";
import type { NewEvent } from "../../shared/domain/event.ts";
import { type EventStore, OutcomeUnknown, VersionConflict } from "../../shared/event-store/event-store.ts";
import { aggregates } from "../../shared/ledger/aggregates.ts";
import type { Recorded } from "../../shared/ledger/command.ts";
import { openLedger } from "../../shared/ledger/ledger.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import { command, created, did, limits } from "../support/open-ledger.ts";
import { newStream, sealed, several } from "../support/sealed.ts";

type Promises = (test: string, body: (one: EventStore, other: EventStore) => Promise<void>) => void;

const hexOf = (leaf: Uint8Array): string => Buffer.from(leaf).toString("hex");

/** A ledger of a process of its own, whose store may say of an append that nobody knows what became of it. */
function ledgerOver(store: EventStore, isLost: () => boolean) {
  const append: EventStore["append"] = async (...args) => {
    const positions = await store.append(...args);
    if (isLost()) throw new OutcomeUnknown("the line broke after the commit");
    return positions;
  };
  const ledger = openLedger({
    aggregates,
    limits,
    now: systemClock.now,
    // A retry need not wait; whoever watches for deadlines must.
    sleep: (ms, signal) => systemClock.sleep(ms < 100 ? 0 : ms, signal),
    wake: () => {},
    store: { ...store, isShared: true, append },
  });
  return ledger;
}

/** Loses every `nth` answer. */
const everyNth = (nth: number) => {
  let asked = 0;
  return () => ++asked % nth === 0;
};

/** What a command's answer is made of. */
const answerOf = ({ stream, events }: Recorded) => ({
  stream,
  events: events.map(({ id, revision, position, leaf }) => ({ id, revision, position, leaf: hexOf(leaf) })),
});

/** Whether each event of a stream names the one before it. */
async function expectOneChain(store: EventStore, stream: string, events: number) {
  const read = await Array.fromAsync(store.read(stream));
  expect(read.map(({ revision }) => revision)).toEqual(Array.from({ length: events }, (_, at) => at));
  const before = [null, ...read.map(({ leaf }) => hexOf(leaf))].slice(0, -1);
  expect(read.map(({ meta }) => meta.prev)).toEqual(before);
}

const TOGETHER = 50;

/** What holds when two processes write to one log at the same moment. Where an adapter has one process only,
 *  both are ledgers over the same store. */
export function racing(test: Promises) {
  test("records a command once that two retry, with a lost answer, 1,000 times", async (store, second) => {
    const one = ledgerOver(store, everyNth(2));
    const other = ledgerOver(second, everyNth(3));
    for (let round = 0; round < 1000; round += TOGETHER) {
      const rounds = Array.from({ length: TOGETHER }, async (_, index) => {
        const commandId = `round-${round + index}`;
        const ask = (ledger: typeof one) => ledger.create("run", command(created(), { commandId }));
        const answers = await Promise.all([ask(one), ask(other), ask(one)]);
        expect(answers.filter(({ replayed }) => replayed === false).length).toBeLessThanOrEqual(1);
        expect(answers.slice(1).map(answerOf)).toEqual([answerOf(answers[0]), answerOf(answers[0])]);
        return answers[0].stream;
      });
      for (const stream of await Promise.all(rounds)) await expectOneChain(store, stream, 1);
    }
  });

  test("keeps one chain where two processes write to one stream", async (store, second) => {
    const one = ledgerOver(store, everyNth(7));
    const other = ledgerOver(second, everyNth(7));
    const { stream } = await one.create("run", command(created()));
    await one.record(stream, command(did("run.started")));
    const note = (name: string) => command(did("run.noted", { name, outcome: "ok" }), { commandId: name });
    const asked = Array.from({ length: 40 }, (_, index) => [
      one.record(stream, note(`one-${index}`)),
      other.record(stream, note(`other-${index}`)),
      other.record(stream, note(`one-${index}`)),
    ]);
    const answers = await Promise.all(asked.flat());
    expect(new Set(answers.map(({ events }) => events[0]?.id)).size).toBe(80);
    await expectOneChain(store, stream, 82);
  });

  test("appends nothing behind an append that has lost its race", async (one, other) => {
    const stream = newStream();
    const [first, second, third] = sealed(one.ledger, stream, several(3)) as [NewEvent, NewEvent, NewEvent];
    await one.append(stream, 0, [first]);
    const rival = sealed(one.ledger, stream, [{ data: { by: "another" } }], first);
    const answers = await Promise.allSettled([
      other.append(stream, 1, rival),
      one.append(stream, 1, [second]),
      one.append(stream, 2, [third]),
    ]);
    const [theirs, mine, next] = answers.map(({ status }) => status);
    expect([theirs, mine].sort()).toEqual(["fulfilled", "rejected"]);
    expect(next).toBe(mine);
    for (const each of answers)
      if (each.status === "rejected") expect(each.reason).toBeInstanceOf(VersionConflict);
    await expectOneChain(one, stream, mine === "fulfilled" ? 3 : 2);
  });
}
