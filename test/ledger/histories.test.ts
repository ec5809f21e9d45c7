import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { valueAt } from "../../shared/domain/keyed.ts";
import type { Run } from "../../shared/domain/run/run.ts";
import type { Command, Recorded, Refusal } from "../../shared/ledger/command.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { caller, command, created, openTestLedger } from "../support/open-ledger.ts";
import { type Answer, type Asked, RunModel, types } from "../support/run-model.ts";

/** One call: of which run, by which of two writers, and what. */
type Call = { run: number; writer: number; items: Asked[]; headerId?: string };

const RUNS = 2;
const ids = fc.constantFrom("a", "b", "c", "d");
const asked = fc.record({ type: fc.constantFrom(...types), value: fc.integer({ min: 0, max: 2 }) });
const items = fc.array(asked, { minLength: 1, maxLength: 3 });
const place = fc.record({ run: fc.nat(RUNS - 1), writer: fc.nat(1) });
const calls = fc.array(
  fc.oneof(
    fc.tuple(place, items).map(([where, some]): Call => ({ ...where, items: some })),
    fc.tuple(place, items, ids).map(([where, some, headerId]): Call => ({ ...where, items: some, headerId })),
    fc
      .tuple(place, fc.array(fc.tuple(asked, ids), { minLength: 1, maxLength: 3 }))
      .map(([where, some]): Call => ({ ...where, items: some.map(([item, id]) => ({ ...item, id })) })),
  ),
  { minLength: 1, maxLength: 30, size: "max" },
);

/** The call as the API would make it of a body. The number that tells calls apart is where the type has room
 *  for one. */
function commandOf({ items: some, headerId }: Call): Command {
  return {
    ...caller,
    operation: "record_event",
    ...(headerId === undefined ? {} : { commandId: headerId }),
    items: some.map(({ type, value, id }) => ({
      proposed: { type, ...membersOf(type, value) },
      shape: { type, data: { value } },
      ...(id === undefined ? {} : { commandId: id }),
    })),
  };
}

function membersOf(type: string, value: number) {
  if (type === "run.noted") return { data: { name: `${value}`, outcome: "ok" } };
  if (type === "run.progressed") return { data: { percent: value } };
  return type.startsWith("step.") ? { data: { stepRef: "s" } } : { data: {} };
}

async function answerOf(recording: Promise<Recorded>): Promise<Answer> {
  try {
    const { outcomes } = await recording;
    return { outcomes: outcomes.map(({ outcome }) => outcome as "recorded") };
  } catch (error) {
    const { code } = error as Refusal;
    return { code };
  }
}

/** Two ledgers over one store, each with folds that the other overtakes, and some new runs. */
async function twoWriters() {
  const { ledger, store } = await openTestLedger();
  const { ledger: other } = await openTestLedger({ store });
  const streams: string[] = [];
  for (let run = 0; run < RUNS; run++) streams.push((await ledger.create("run", command(created()))).stream);
  const writers = [ledger, other];
  const record = (call: Call) =>
    (writers[call.writer] as Ledger).record(streams[call.run] ?? "", commandOf(call));
  return { ledger, store, streams, record };
}

const isStepsOwn = (code: string) =>
  code === "step_transition_not_allowed" || code === "transition_not_allowed";

describe("any history", () => {
  it("is answered as a plain model answers it, call by call", async () => {
    await fc.assert(
      fc.asyncProperty(calls, async (history) => {
        const { store, ledger, streams, record } = await twoWriters();
        const models = streams.map(() => new RunModel());
        for (const call of history) {
          const model = models[call.run] as RunModel;
          const expected = model.record(call.items, call.headerId);
          const answer = await answerOf(record(call));
          if ("code" in expected && expected.code === "step")
            expect(isStepsOwn("code" in answer ? answer.code : "")).toBe(true);
          else expect(answer).toEqual(expected);
        }
        for (const [run, stream] of streams.entries()) {
          const events = await Array.fromAsync(store.read(stream));
          const model = models[run] as RunModel;
          expect(events.map(({ type }) => type)).toEqual(model.events.map((event) => event.split(" ")[0]));
          const state = await ledger.stateAt<Run>(stream, Number.POSITIVE_INFINITY);
          expect(state.status).toBe(model.status);
          expect(valueAt(state.steps, "s")?.attempt ?? 0).toBe(model.attempt);
        }
        await store.close();
      }),
      { numRuns: 60 },
    );
  });

  it("of calls made all at once is one that they could have made one after the other", async () => {
    await fc.assert(
      fc.asyncProperty(calls, async (history) => {
        const { store, streams, record } = await twoWriters();
        const answers = await Promise.all(
          history.map(async (call) => {
            const recording = record(call);
            const answer = await answerOf(recording);
            return { call, answer, recorded: await recording.catch(() => undefined) };
          }),
        );
        for (const [run, stream] of streams.entries()) {
          const events = await Array.fromAsync(store.read(stream));
          expectPossible(events);
          const mine = answers.filter(({ call }) => call.run === run);
          const acknowledged = mine.flatMap(({ recorded }) => recorded?.events ?? []);
          const byId = new Map(events.map((event) => [event.id, event]));
          for (const { id, position, revision } of acknowledged)
            expect(byId.get(id)).toMatchObject({ position, revision });
          // Nothing is there that nobody was told of.
          expect(new Set(acknowledged.map(({ id }) => id)).size).toBe(events.length - 1);
        }
        await store.close();
      }),
      { numRuns: 40 },
    );
  });
});

/** A stream that the model could have: no gaps, no id twice, each event one that may follow. */
function expectPossible(events: readonly RecordedEvent[]) {
  expect(events.map(({ revision }) => revision)).toEqual(events.map((_, index) => index));
  expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
  const model = new RunModel();
  for (const { type } of events.slice(1))
    expect(model.record([{ type, value: 0 }])).toEqual({ outcomes: ["recorded"] });
}
