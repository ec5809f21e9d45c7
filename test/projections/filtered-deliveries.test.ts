import { describe, expect, it } from "vitest";
import { deliveriesView } from "../../projections/deliveries/deliveries.table.ts";
import { deliveryId } from "../../projections/deliveries/deliveries.ts";
import { openProjector } from "../../projections/projector.ts";
import { runOwingTypes } from "../../shared/domain/endpoint/events.ts";
import type { JsonObject } from "../../shared/domain/event.ts";
import { streamOf } from "../../shared/verification/ids.ts";
import { openMemoryEventStore } from "../support/memory-event-store.ts";
import { idOf, recorder } from "../support/recording.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { allProjections, openRows } from "../support/views.ts";

const endpoint = streamOf(idOf("endpoint", 1));
const run = streamOf(idOf("run", 1));
const config = { recipientRuns: false, bodyVersion: 1, secretKeyIds: [], status: "enabled" };

/** A log with one endpoint, which hears of what a condition holds of, and a run that it holds of. */
async function logged(match: JsonObject, filter: JsonObject = { matches: true }) {
  const store = openMemoryEventStore();
  const { record } = recorder(store);
  const data = { ...config, types: [...runOwingTypes], filter };
  await record(endpoint, "endpoint.created", data, { url: "https://example.test/", match });
  await record(run, "run.created", { workflow: "w" }, { input: { amount: 7 }, recipient: "ada" });
  await record(run, "run.started");
  await record(run, "run.completed", {}, { output: { sent: 1 } });
  const eventId = store.events.at(-1)?.id ?? "";
  const id = deliveryId(store.ledger, "default", endpoint, eventId);
  const delivery = (type: string, said: JsonObject) => record(streamOf(id), type, said);
  const attempted = (said: JsonObject = {}) =>
    delivery("delivery.attempted", {
      endpoint: idOf("endpoint", 1),
      event: eventId,
      attempt: 1,
      scheduleStep: 0,
      ...said,
    });
  /** The views, built from the first event as the log is now. */
  const built = async () => {
    const rows = await openRows(temporaryFolder());
    const projector = await openProjector({ store, rows, projections: await allProjections(store) });
    await projector.catchUp();
    const { row } = await rows.get(deliveriesView, id);
    return { row, parked: await rows.parked() };
  };
  const erase = (stream: string) => {
    for (const event of store.events) if (event.stream === stream) delete event.content;
  };
  const of = { source: idOf("run", 1), revision: 2, type: "run.completed" };
  return { built, erase, attempted, delivery, of };
}

describe("what a filter lets through", () => {
  it.each<[string, JsonObject, boolean]>([
    ["a condition that holds", { where: { "input.amount": 7, status: "completed" } }, true],
    ["one that does not", { where: { "input.amount": { $gt: 7 } } }, false],
    ["its recipient", { recipients: ["ben", "ada"] }, true],
    ["another recipient", { recipients: [{ id: "ada", collection: "teams" }] }, false],
    ["both", { recipients: ["ada"], where: { "output.sent": 1 } }, true],
    ["one of both", { recipients: ["ada"], where: { "output.sent": 2 } }, false],
    ["a condition that this program does not understand", { where: { $sometimes: true } }, false],
  ])("has a row, out of the run's own events: %s", async (_, match, owed) => {
    const { built } = await logged(match);
    const { row, parked } = await built();
    expect(parked).toEqual([]);
    expect(row?.status).toBe(owed ? "pending" : undefined);
  });

  it("is not owed any more where what it was judged by was erased before its first attempt", async () => {
    const { built, erase } = await logged({ where: { "input.amount": 7 } });
    erase(run);
    expect(await built()).toEqual({ row: undefined, parked: [] });
  });

  it("is not owed by what is no longer there: its absence is not what the filter asked for", async () => {
    const { built, erase } = await logged({ where: { "input.secret": { $exists: false } } });
    expect((await built()).row?.status).toBe("pending");
    erase(run);
    expect((await built()).row).toBeUndefined();
  });

  it("is not owed where the filter itself was erased, which would let everything through", async () => {
    const { built, erase } = await logged({ where: { "input.amount": 8 } });
    erase(endpoint);
    expect(await built()).toEqual({ row: undefined, parked: [] });
  });

  it("keeps its row, where it was attempted, to its end: its attempt says what it is of", async () => {
    const { built, erase, attempted, delivery, of } = await logged({ where: { "input.amount": 7 } });
    await attempted(of);
    erase(run);
    const { row, parked } = await built();
    expect(parked).toEqual([]);
    expect(row).toMatchObject({
      status: "pending",
      attempt: 1,
      runId: idOf("run", 1),
      eventType: "run.completed",
      eventRevision: 2,
      endpointId: idOf("endpoint", 1),
      openEndpoint: idOf("endpoint", 1),
    });
    await delivery("delivery.responded", { attempt: 1, outcome: "delivered", httpStatus: 204 });
    expect((await built()).row).toMatchObject({ status: "delivered", openEndpoint: null });
  });

  it("has no row where it was cancelled unattempted, and stops no view", async () => {
    const { built, erase, delivery } = await logged({ where: { "input.amount": 7 } });
    await delivery("delivery.cancelled", { reason: "superseded" });
    expect((await built()).row).toMatchObject({ status: "cancelled" });
    erase(run);
    expect(await built()).toEqual({ row: undefined, parked: [] });
  });

  it("is not made up for an attempt that nothing owed", async () => {
    const { built, attempted } = await logged({ where: { "input.amount": 8 } });
    await attempted();
    const { row, parked } = await built();
    expect(row).toBeUndefined();
    expect(parked).toHaveLength(1);
  });
});
