import fc from "fast-check";
import { deliveryId } from "../../projections/deliveries/deliveries.ts";
import { runOwingTypes } from "../../shared/domain/endpoint/events.ts";
import type { JsonObject } from "../../shared/domain/event.ts";
import { type RunEvent, runEvents } from "../../shared/domain/run/events.ts";
import {
  decide,
  evolve,
  follows,
  isTerminal,
  type Run,
  statusAfter,
  unknownRun,
} from "../../shared/domain/run/run.ts";
import { streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import type { MemoryEventStore } from "./memory-event-store.ts";
import { idOf, recorder } from "./recording.ts";

/** Something that somebody tries; what cannot follow is left out of the log. */
export type Try = { run: number; type: number; step: number; wait: number; error: boolean; other: number };

export const tries = (max: number) =>
  fc.array(
    fc.record({
      run: fc.nat(5),
      type: fc.nat(60),
      step: fc.nat(2),
      wait: fc.nat(2),
      error: fc.boolean(),
      other: fc.nat(30),
    }),
    { minLength: Math.floor(max / 2), maxLength: max },
  );

const url = "https://example.test/hooks";
const config = {
  types: ["*"],
  recipientRuns: true,
  bodyVersion: 1,
  secretKeyIds: [],
  status: "enabled",
};

/** Members for a type of run event, whatever it needs. */
function proposal(status: Run["status"], { run, type, step, wait, error }: Try): RunEvent {
  const allowed = runEvents.filter((kind) => (follows[status] as readonly string[]).includes(kind.type));
  // Ends are allowed nearly everywhere: most are left out, or no run would get far.
  const going = allowed.filter((kind) => !isTerminal(statusAfter[kind.type] ?? ""));
  const possible = wait > 0 && going.length > 0 ? going : allowed;
  const kind = possible[type % possible.length] ?? runEvents[0];
  const data: JsonObject = {};
  const content: JsonObject = {};
  if ("workflow" in kind.data) {
    data.workflow = `w${step}`;
    if (run > 2) Object.assign(data, { parentId: idOf("run", 0), recipientIndex: run });
    if (run > 2) content.recipient = run > 4 ? { id: "r", collection: "c" } : `r${run}`;
    else if (error) content.recipients = ["r3", "r4"];
    if (step > 0) content.input = { n: step, ["__proto__"]: "kept" };
  }
  if ("waitId" in kind.data) data.waitId = idOf("wait", run * 10 + wait);
  if ("stepRef" in kind.data) data.stepRef = `s/${step}`;
  if ("name" in kind.data) Object.assign(data, { name: "n", outcome: error ? "error" : "ok" });
  if ("prompt" in kind.content) content.prompt = "?";
  if ("input" in kind.content && kind.type === "run.input_given") content.input = null;
  if ("error" in kind.content && error) content.error = { message: "no" };
  if ("output" in kind.content && error) content.output = [run];
  // Only a generator of tests puts members together by name.
  return {
    type: kind.type,
    data,
    ...(Object.keys(content).length > 0 && { content }),
  } as unknown as RunEvent;
}

/** Records what of these tries can follow: runs and recipient runs, endpoints that come and go, and
 *  deliveries. */
export async function recordTries(store: MemoryEventStore, all: readonly Try[]): Promise<void> {
  const { record } = recorder(store);
  const runs = new Map<number, Run>();
  const endpoints = new Map<number, string>();
  const owed: { id: string; attempt: number; of: JsonObject }[] = [];
  await record("ledger-00000000000000000000000000", "ledger.created", { ledger: store.ledger, format: 1 });

  async function endpoint({ run, other, error }: Try): Promise<void> {
    const stream = streamOf(idOf("endpoint", run % 3));
    const status = endpoints.get(run % 3);
    const types = status ? ["paused", "resumed", "disabled", "enabled", "deleted"] : ["created"];
    const next = types[other % types.length] ?? "created";
    if (status === "deleted") return;
    endpoints.set(run % 3, next);
    if (next === "created")
      await record(stream, "endpoint.created", { ...config, recipientRuns: error }, { url });
    else await record(stream, `endpoint.${next}`);
  }

  async function delivery({ step, error, other }: Try): Promise<void> {
    const one = owed[other % Math.max(1, owed.length)];
    if (!one) return;
    const { id } = one;
    const stream = streamOf(id);
    if (step === 2 && error) return void (await record(stream, "delivery.exhausted", one.of));
    if (step === 2) return void (await record(stream, "delivery.cancelled", { reason: "content_erased" }));
    one.attempt++;
    await record(stream, "delivery.attempted", { attempt: one.attempt, scheduleStep: one.attempt - 1 });
    if (step === 1) return;
    const nextAttemptAt = "2026-02-01T00:00:00.000Z";
    const outcome = error
      ? { outcome: "delivered" }
      : { outcome: "http_error", httpStatus: 503, nextAttemptAt };
    await record(stream, "delivery.responded", { attempt: one.attempt, durationMs: 3, ...outcome });
  }

  for (const one of all) {
    if (one.other < 4) await endpoint(one);
    else if (one.other < 8) await delivery(one);
    else {
      const run = runs.get(one.run) ?? unknownRun;
      const proposed = proposal(run.status, one);
      const decision = decide(run, proposed, { byLedger: true, eventsMax: 10_000 });
      if (!decision.accepted) continue;
      runs.set(one.run, evolve(run, decision.event));
      const { type, data, content } = decision.event;
      await record(streamOf(idOf("run", one.run)), type, { ...data }, content && { ...content });
      const event = store.events.at(-1);
      if (!event || !runOwingTypes.includes(type)) continue;
      for (const number of endpoints.keys()) {
        const to = streamOf(idOf("endpoint", number));
        const source = idOf("run", one.run);
        const of = { endpoint: wireIdOf(to), event: event.id, source, revision: event.revision, type };
        owed.push({ id: deliveryId(store.ledger, "default", to, event.id), attempt: 0, of });
      }
    }
  }
}
