import { describe, expect, it } from "vitest";
import { urgencies } from "../../projections/deliveries/deliveries.table.ts";
import { deliveryId } from "../../projections/deliveries/deliveries.ts";
import { attempt } from "../../services/dispatcher/attempt.ts";
import type { AttemptDeps, Attempted } from "../../services/dispatcher/attempting.ts";
import { renderDelivery } from "../../services/dispatcher/body.ts";
import type { Due } from "../../services/dispatcher/due.ts";
import type { Outcome } from "../../services/dispatcher/outcome.ts";
import type { PostRequest } from "../../services/dispatcher/post.ts";
import type { Delivery } from "../../shared/domain/delivery/delivery.ts";
import { runOwingTypes } from "../../shared/domain/endpoint/events.ts";
import { createEndpointHistory } from "../../shared/domain/endpoint/history.ts";
import { derivedId, streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import { manualClock } from "../support/manual-clock.ts";
import { command, created, did, openTestLedger } from "../support/open-ledger.ts";

const delivered: Outcome = { outcome: "delivered", httpStatus: 200, durationMs: 3 };
const failed: Outcome = { outcome: "http_error", httpStatus: 503, durationMs: 3 };
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

const resent = ({ endpoint, event, source, revision }: Due) =>
  did("delivery.requested", {
    endpoint: wireIdOf(endpoint),
    endpointRevision: 0,
    event,
    source: wireIdOf(source),
    revision,
    type: "run.completed",
    reason: "resend",
  });

/** A ledger with one endpoint and one completed run, whose delivery is due. */
async function oneDue(answers: Outcome[] = []) {
  const clock = manualClock(Date.parse("2026-01-01T00:00:00.000Z"));
  const { ledger, store } = await openTestLedger({ now: clock.now });
  const config = {
    types: runOwingTypes,
    recipientRuns: false,
    bodyVersion: 1,
    status: "enabled",
    secretKeyIds: ["key_1"],
  };
  const endpoint = await ledger.create(
    "endpoint",
    command(did("endpoint.created", config, { url: "http://127.0.0.1:9/" })),
  );
  const run = await ledger.create("run", command(created({}, { input: { a: 1 } })));
  const { events } = await ledger.record(
    run.stream,
    command([did("run.started"), did("run.completed", {}, { output: "ok" })]),
  );
  const event = events[1];
  if (!event) throw new Error("nothing was recorded");
  const endpoints = createEndpointHistory();
  for await (const each of store.readAll(0n)) endpoints.take(each);
  const due: Due = {
    delivery: streamOf(deliveryId(ledger.id, "default", endpoint.stream, event.id)),
    endpoint: endpoint.stream,
    source: run.stream,
    revision: event.revision,
    position: event.position,
    workspace: "default",
    event: event.id,
    urgency: 0,
  };
  const historyOf = (stream: string, count: number) => ledger.history(stream, 0, count);
  const sent: PostRequest[] = [];
  const attempts: Attempted[] = [];
  const deps: AttemptDeps = {
    ledger,
    clock,
    endpoints,
    secretsOf: async () => [secret],
    render: (each, form) => renderDelivery({ historyOf, endpoints, bytesMax: 256 * 1024 }, each, form),
    headersOf: async () => ({}),
    holds: () => true,
    post: async (request) => {
      sent.push(request);
      return answers.shift() ?? delivered;
    },
    random: () => 0,
    onStarted: () => {},
    onAttempt: (attempted) => attempts.push(attempted),
  };
  const go = (signal = new AbortController().signal) => attempt(deps, due, signal);
  const history = async () =>
    (await ledger.history(due.delivery)).map(({ type, data }) => [
      type.slice(9),
      data.attempt,
      data.scheduleStep ?? data.outcome,
    ]);
  const state = async () => (await ledger.find<Delivery>(due.delivery))?.state;
  return {
    ledger,
    store,
    clock,
    endpoints,
    historyOf,
    due,
    deps,
    sent,
    attempts,
    go,
    history,
    state,
    endpoint,
  };
}

describe("an attempt", () => {
  it("is recorded before it is sent, and its outcome after", async () => {
    const { deps, go, history, ledger, due } = await oneDue();
    const before: unknown[] = [];
    const post = deps.post;
    deps.post = async (request, signal) => {
      before.push(...(await ledger.history(due.delivery)).map(({ type }) => type));
      return post(request, signal);
    };
    await go();
    expect(before).toEqual(["delivery.attempted"]);
    expect(await history()).toEqual([
      ["attempted", 1, 0],
      ["responded", 1, "delivered"],
    ]);
  });

  it("carries the delivery's id twice, and a position in the header alone", async () => {
    const { go, sent, due } = await oneDue();
    await go();
    const [request] = sent;
    const body = JSON.parse(String(request?.body));
    expect(request?.headers["webhook-id"]).toBe(body.id);
    expect(request?.headers["ledger-position"]).toBe(`${due.position}`);
    expect(String(request?.body)).not.toContain("position");
    expect(Object.keys(body)).toEqual(["id", "type", "timestamp", "data", "ledger"]);
    expect(body.ledger).toMatchObject({ event: due.event, revision: 2, previous: null });
  });

  it("is followed by another after the schedule's pause, with the same bytes", async () => {
    const { go, sent, history, clock } = await oneDue([failed]);
    const next = await go();
    expect(next.nextAttemptAtMs).toBe(clock.now() + 5000);
    expect(await go()).toEqual({ nextAttemptAtMs: clock.now() + 5000 });
    expect(sent).toHaveLength(1);
    await clock.advance(5000);
    await go();
    expect(await history()).toEqual([
      ["attempted", 1, 0],
      ["responded", 1, "http_error"],
      ["attempted", 2, 1],
      ["responded", 2, "delivered"],
    ]);
    expect(sent[0]?.body.equals(sent[1]?.body ?? Buffer.alloc(0))).toBe(true);
  });

  it("is not made twice after it was delivered", async () => {
    const { go, sent } = await oneDue();
    await go();
    await go();
    expect(sent).toHaveLength(1);
  });

  it("that was thought to be the first is not made where somebody was faster", async () => {
    const { go, due, sent, history } = await oneDue();
    due.fresh = true;
    await go();
    await go();
    expect(sent).toHaveLength(1);
    expect(await history()).toHaveLength(2);
  });

  it("whose outcome nobody knows is followed at once by another at the same step", async () => {
    const { go, history, deps } = await oneDue();
    const stop = new AbortController();
    const post = deps.post;
    deps.post = async () => {
      stop.abort();
      return { outcome: "unknown", durationMs: 1 };
    };
    await go(stop.signal);
    deps.post = post;
    await go();
    expect(await history()).toEqual([
      ["attempted", 1, 0],
      ["attempted", 2, 0],
      ["responded", 2, "delivered"],
    ]);
  });

  it("is left to the dispatcher that recorded it first", async () => {
    const { go, deps, sent, history } = await oneDue();
    const { render } = deps;
    let other = false;
    deps.render = async (each, form) => {
      if (!other) {
        other = true;
        await attempt({ ...deps, render }, each, new AbortController().signal);
      }
      return render(each, form);
    };
    await go();
    expect(sent).toHaveLength(1);
    expect(await history()).toHaveLength(2);
  });

  it("is not sent without a signature, whatever became of the vault", async () => {
    const { go, deps, sent, history } = await oneDue();
    deps.secretsOf = async () => [];
    await expect(go()).rejects.toThrow("the vault lacks one of key_1");
    expect(sent).toHaveLength(0);
    expect(await history()).toEqual([]);
  });

  it("is the tenth at most", async () => {
    const { go, clock, state, sent, ledger, due } = await oneDue(Array.from({ length: 10 }, () => failed));
    for (let count = 0; count < 12; count++) {
      const next = await go();
      if (next.nextAttemptAtMs !== undefined) await clock.advance(next.nextAttemptAtMs - clock.now());
    }
    expect(sent).toHaveLength(10);
    expect(await state()).toMatchObject({ status: "exhausted", attempt: 10 });
    expect((await ledger.history(due.delivery)).at(-1)).toMatchObject({
      type: "delivery.exhausted",
      data: {},
    });
  });

  it("waits for as long as the receiver asked", async () => {
    const { go, clock } = await oneDue([{ ...failed, retryAfter: "120" }]);
    expect((await go()).nextAttemptAtMs).toBe(clock.now() + 120_000);
  });

  it("is not made for an endpoint that was disabled or deleted since", async () => {
    for (const type of ["endpoint.disabled", "endpoint.deleted"]) {
      const { go, ledger, endpoints, sent, endpoint } = await oneDue();
      const { events } = await ledger.record(endpoint.stream, command(did(type)));
      for (const event of events) endpoints.take(event);
      await go();
      expect(sent).toHaveLength(0);
    }
  });

  it("is not made for what was owed before an endpoint was disabled, even if enabled again", async () => {
    const { go, ledger, endpoints, sent, endpoint } = await oneDue();
    const { events } = await ledger.record(
      endpoint.stream,
      command([did("endpoint.disabled"), did("endpoint.enabled")]),
    );
    for (const event of events) endpoints.take(event);
    await go();
    expect(sent).toHaveLength(0);
  });

  it("has the bytes of the one before, whatever an operator says of their size by now", async () => {
    for (const [before, since] of [
      [256 * 1024, 10],
      [10, 256 * 1024],
    ] as const) {
      const { go, clock, deps, historyOf, endpoints, sent } = await oneDue([failed]);
      const upTo = (bytesMax: number): AttemptDeps["render"] => {
        return (each, form) => renderDelivery({ historyOf, endpoints, bytesMax }, each, form);
      };
      deps.render = upTo(before);
      await go();
      await clock.advance(5000);
      deps.render = upTo(since);
      await go();
      expect(sent).toHaveLength(2);
      expect(sent[0]?.body.equals(sent[1]?.body ?? Buffer.alloc(0))).toBe(true);
    }
  });

  it("ends the delivery where its bytes cannot be made again", async () => {
    const { go, clock, deps, state, sent } = await oneDue([failed]);
    await go();
    await clock.advance(5000);
    const { render } = deps;
    deps.render = async (each, form) => {
      const rendered = await render(each, form);
      return rendered && { ...rendered, body: Buffer.from("something else") };
    };
    await go();
    expect(sent).toHaveLength(1);
    expect(await state()).toMatchObject({ status: "cancelled" });
  });

  it("is cancelled by its receiver though it was cancelled once, and goes last when asked for", async () => {
    const { go, clock, ledger, due, history, state, sent } = await oneDue([
      failed,
      { ...failed, directive: "abort" },
    ]);
    await go();
    const ids = { prefix: "evt", workspace: "default", ledger: ledger.id } as const;
    const cancelled = derivedId({
      ...ids,
      scope: `dispatcher ${due.delivery}`,
      commandId: "cancelled",
      index: 2,
    });
    const items = [
      {
        proposed: did("delivery.cancelled", { reason: "superseded" }),
        made: { id: cancelled, causationId: null },
      },
    ];
    await ledger.record(due.delivery, { ...command(did("delivery.cancelled")), items });
    await ledger.record(due.delivery, command(resent(due)));
    await clock.advance(1000);
    // Who queued it before it was asked for would send it before what is owed by itself.
    expect(await go()).toEqual({ nextAttemptAtMs: clock.now() });
    expect(sent).toHaveLength(1);
    due.urgency = urgencies.requested;
    await go();
    expect((await history()).map(([type]) => type)).toEqual([
      "attempted",
      "responded",
      "cancelled",
      "requested",
      "attempted",
      "responded",
      "cancelled",
    ]);
    expect(await state()).toMatchObject({ status: "cancelled" });
  });

  it("has its outcome told though somebody asked for the delivery meanwhile", async () => {
    const { go, deps, ledger, due, history, state } = await oneDue();
    const { post } = deps;
    deps.post = async (request, signal) => {
      await ledger.record(due.delivery, command(resent(due)));
      return post(request, signal);
    };
    await go();
    expect((await history()).map(([type]) => type)).toEqual(["attempted", "requested", "responded"]);
    expect(await state()).toMatchObject({ status: "delivered", unanswered: null });
  });

  it.each<Partial<Outcome>>([{}, { directive: "abort" }])(
    "leads to no end where it was the last, and somebody asked for the delivery meanwhile: %j",
    async (said) => {
      const { go, deps, ledger, due, history, state } = await oneDue();
      deps.post = async () => {
        await ledger.record(due.delivery, command(resent(due)));
        return { ...failed, retryAfter: "90", ...said };
      };
      Object.assign(deps.endpoints.current(due.endpoint) ?? {}, { scheduleMs: [0] });
      const next = await go();
      expect((await history()).map(([type]) => type)).toEqual(["attempted", "requested", "responded"]);
      expect(await state()).toMatchObject({ status: "open", scheduleStep: -1 });
      expect(next.nextAttemptAtMs).toBe(deps.clock.now() + 90_000);
      deps.post = async () => failed;
      due.urgency = urgencies.requested;
      deps.clock = { ...deps.clock, now: () => next.nextAttemptAtMs ?? 0 };
      await go();
      expect((await history()).at(-1)?.[0]).toBe("exhausted");
    },
  );

  it("begins the schedule again where it was asked for while one was made that has no outcome", async () => {
    const { go, deps, ledger, due, history } = await oneDue();
    const stopping = new AbortController();
    deps.post = async () => {
      stopping.abort();
      return failed;
    };
    await go(stopping.signal);
    await ledger.record(due.delivery, command(resent(due)));
    due.urgency = urgencies.requested;
    await go();
    expect((await history())[2]).toEqual(["attempted", 2, 0]);
  });

  it("names the event that owes it as the cause of all that is recorded", async () => {
    const { go, ledger, due } = await oneDue();
    await go();
    const events = await ledger.history(due.delivery);
    expect(events.map(({ meta }) => [meta.causationId, meta.actor])).toEqual(
      events.map(() => [due.event, { type: "system", id: "dispatcher" }]),
    );
  });
});
