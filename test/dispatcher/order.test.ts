import { describe, expect, it } from "vitest";
import type { Due } from "../../services/dispatcher/due.ts";
import { deliveryStream, hindrance } from "../../services/dispatcher/order.ts";
import { runOwingTypes } from "../../shared/domain/endpoint/events.ts";
import { createEndpointHistory } from "../../shared/domain/endpoint/history.ts";
import type { JsonObject } from "../../shared/domain/event.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import { command, created, did, openTestLedger } from "../support/open-ledger.ts";

/** A run that has asked for something, got it, and ended; and an endpoint that both are owed to. */
async function askedAndEnded(policy: JsonObject) {
  const { ledger, store } = await openTestLedger();
  const endpoints = createEndpointHistory();
  const config = { types: [...runOwingTypes], recipientRuns: false, bodyVersion: 1, secretKeyIds: ["key_1"] };
  const made = did(
    "endpoint.created",
    { ...config, status: "enabled", ...policy },
    { url: "http://a.test/" },
  );
  const { stream: endpoint } = await ledger.create("endpoint", command(made));
  const { stream: run } = await ledger.create("run", command(created()));
  const asked = await ledger.record(
    run,
    command([did("run.started"), did("run.awaiting_input", {}, { prompt: "Which plan?" })]),
  );
  const question = asked.events[1];
  const ended = await ledger.record(run, command([did("run.resumed"), did("run.completed")]));
  const end = ended.events[1];
  if (!question || !end) throw new Error("nothing was recorded");
  const learn = async () => {
    for await (const event of store.readAll(0n)) endpoints.take(event);
  };
  await learn();
  const streamOf = (event: { id: string }) => deliveryStream(ledger.id, "default", endpoint, event.id);
  const due = (event: typeof end): Due => ({
    delivery: streamOf(event),
    endpoint,
    source: run,
    revision: event.revision,
    position: event.position,
    workspace: "default",
    event: event.id,
    urgency: 0,
  });
  const hinders = (event: typeof end, requested = false) => {
    const version = endpoints.current(endpoint);
    if (!version) throw new Error("there is no endpoint");
    const before = event === end ? [question] : [];
    const deps = { ledger, endpoints };
    return hindrance(deps, due(event), { event, before }, { endpoint: version, requested });
  };
  const tell = async (event: typeof end, ...told: ReturnType<typeof did>[]) => {
    const stream = streamOf(event);
    for (const each of told)
      await ledger.record(stream, command(each), { isNew: (await ledger.find(stream)) === undefined });
  };
  const request = (event: typeof end) =>
    tell(
      event,
      did("delivery.requested", {
        endpoint: wireIdOf(endpoint),
        endpointRevision: 0,
        event: event.id,
        source: wireIdOf(run),
        revision: event.revision,
        type: event.type,
        reason: "resend",
      }),
    );
  return { ledger, endpoint, question, end, hinders, tell, request, learn, streamOf };
}

describe("what keeps a delivery from being sent", () => {
  it("is nothing where its endpoint takes things in any order", async () => {
    const { hinders, end } = await askedAndEnded({});
    expect(await hinders(end)).toBeUndefined();
  });

  it("is that the question has its answer, unless somebody asked for it again", async () => {
    const { hinders, question } = await askedAndEnded({});
    expect(await hinders(question)).toEqual({ kind: "superseded" });
    expect(await hinders(question, true)).toBeUndefined();
  });

  it("is what its run owed before, until that has ended", async () => {
    const { hinders, end, question, tell, streamOf } = await askedAndEnded({ order: "perRun" });
    expect(await hinders(end)).toEqual({ kind: "behind", delivery: streamOf(question) });
    await tell(question, did("delivery.cancelled", { reason: "superseded" }));
    expect(await hinders(end)).toBeUndefined();
  });

  it("is what its run owed before, when that was asked for again", async () => {
    const { hinders, end, question, tell, request, streamOf } = await askedAndEnded({ order: "perRun" });
    await tell(question, did("delivery.cancelled", { reason: "superseded" }));
    await request(question);
    expect(await hinders(end)).toEqual({ kind: "behind", delivery: streamOf(question) });
  });

  it("is not what was ended by disabling the endpoint, whether it was owed or asked for", async () => {
    const owed = await askedAndEnded({ order: "perRun" });
    const asked = await askedAndEnded({ order: "perRun" });
    await asked.request(asked.question);
    for (const { ledger, endpoint, learn, hinders, end } of [owed, asked]) {
      await ledger.record(endpoint, command([did("endpoint.disabled"), did("endpoint.enabled")]));
      await learn();
      expect(await hinders(end)).toBeUndefined();
    }
  });

  it("is that its run has owed something since, where only the newest is wanted", async () => {
    const { hinders, question, end } = await askedAndEnded({ order: "newestOnly" });
    expect(await hinders(question)).toEqual({ kind: "superseded" });
    expect(await hinders(end)).toBeUndefined();
  });
});
