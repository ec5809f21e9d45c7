import { describe, expect, it } from "vitest";
import {
  deliveriesView,
  firstOpen,
  listDeliveries,
  listDueDeliveries,
  oldestDue,
  urgencies,
} from "../../projections/deliveries/deliveries.table.ts";
import { deliveryId } from "../../projections/deliveries/deliveries.ts";
import { openProjector } from "../../projections/projector.ts";
import { runOwingTypes } from "../../shared/domain/endpoint/events.ts";
import type { JsonObject } from "../../shared/domain/event.ts";
import { derivedId, streamOf } from "../../shared/verification/ids.ts";
import { openMemoryEventStore } from "../support/memory-event-store.ts";
import { type Beside, idOf, recorder } from "../support/recording.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { allProjections, openRows } from "../support/views.ts";

const endpoint = (number: number) => streamOf(idOf("endpoint", number));
const run = (number: number) => streamOf(idOf("run", number));
const config: JsonObject = {
  types: [...runOwingTypes],
  recipientRuns: false,
  bodyVersion: 1,
  secretKeyIds: [],
  status: "enabled",
};
const next = "2026-01-01T01:00:00.000Z";

/** A log with its views, up to date whenever they are asked. */
async function ledger() {
  const store = openMemoryEventStore();
  const { record } = recorder(store);
  const rows = await openRows(temporaryFolder());
  const projector = await openProjector({ store, rows, projections: await allProjections(store) });
  const told = async (stream: string, type: string, data?: JsonObject, beside?: Beside) => {
    const content = type === "endpoint.created" ? { url: "https://example.test/" } : undefined;
    await record(stream, type, data, content, beside);
    return store.events.at(-1)?.id ?? "";
  };
  return {
    told,
    rows,
    endpoint: (number: number, over: JsonObject = {}) =>
      told(endpoint(number), "endpoint.created", { ...config, ...over }),
    /** A run that was created, started and completed; the id of its end. */
    async ended(number: number, data: JsonObject = {}, beside: Beside = {}) {
      await told(run(number), "run.created", { workflow: "w", ...data }, beside);
      await told(run(number), "run.started", {}, beside);
      return told(run(number), "run.completed", {}, beside);
    },
    async row(endpointNumber: number, eventId: string, workspace = "default") {
      await projector.catchUp();
      const id = deliveryId(store.ledger, workspace, endpoint(endpointNumber), eventId);
      return (await rows.get(deliveriesView, id)).row;
    },
    async statuses() {
      await projector.catchUp();
      const { rows: all } = await listDeliveries(rows, "default", {}, { limit: 100 });
      return all.map(({ endpointId, status }) => `${endpointId.at(-1)} ${status}`).sort();
    },
    parked: () => rows.parked(),
    delivery: (endpointNumber: number, eventId: string) =>
      streamOf(deliveryId(store.ledger, "default", endpoint(endpointNumber), eventId)),
    store,
  };
}

describe("a delivery's row", () => {
  it("is there as soon as its event is, due at once, under a derived id", async () => {
    const { endpoint: made, ended, row, store } = await ledger();
    await made(1);
    const eventId = await ended(1);
    const delivery = await row(1, eventId);
    expect(delivery).toMatchObject({
      workspace: "default",
      endpointId: idOf("endpoint", 1),
      runId: idOf("run", 1),
      eventId,
      eventType: "run.completed",
      eventPosition: 4n,
      eventRevision: 2,
      status: "pending",
      attempt: 0,
      nextAttemptAt: Date.parse(store.events.at(-1)?.meta.recordedAt ?? ""),
    });
    const scope = `dispatcher ${endpoint(1)}`;
    const from = { ledger: store.ledger, workspace: "default", prefix: "delivery" as const, scope };
    expect(delivery?.id).toBe(derivedId({ ...from, commandId: eventId, index: 0 }));
  });

  it("is due after its endpoint's own first pause", async () => {
    const { endpoint: made, ended, row, store } = await ledger();
    await made(1, { scheduleMs: [60_000, 1] });
    const delivery = await row(1, await ended(1));
    const recordedAt = store.events.at(-1)?.meta.recordedAt ?? "";
    expect(delivery?.nextAttemptAt).toBe(Date.parse(recordedAt) + 60_000);
  });

  it("follows its attempts to the end, and stays due while one has no response", async () => {
    const { endpoint: made, ended, row, told, delivery } = await ledger();
    await made(1);
    const eventId = await ended(1);
    const stream = delivery(1, eventId);
    const due = (await row(1, eventId))?.nextAttemptAt;
    await told(stream, "delivery.attempted", { attempt: 1, scheduleStep: 0 });
    expect(await row(1, eventId)).toMatchObject({ status: "pending", attempt: 1, nextAttemptAt: due });
    await told(stream, "delivery.responded", {
      attempt: 1,
      outcome: "http_error",
      httpStatus: 503,
      nextAttemptAt: next,
    });
    expect(await row(1, eventId)).toMatchObject({
      status: "retrying",
      nextAttemptAt: Date.parse(next),
      lastOutcome: "http_error",
      lastHttpStatus: 503,
    });
    await told(stream, "delivery.attempted", { attempt: 2, scheduleStep: 1 });
    await told(stream, "delivery.responded", { attempt: 2, outcome: "delivered", httpStatus: 204 });
    expect(await row(1, eventId)).toMatchObject({
      status: "delivered",
      attempt: 2,
      nextAttemptAt: null,
      openEndpoint: null,
      lastHttpStatus: 204,
    });
  });

  it.each([
    ["delivery.exhausted", {}, "exhausted"],
    ["delivery.cancelled", { reason: "content_erased" }, "cancelled"],
  ])("is closed by %s", async (type, data, status) => {
    const { endpoint: made, ended, row, told, delivery } = await ledger();
    await made(1);
    const eventId = await ended(1);
    await told(delivery(1, eventId), type, data);
    expect(await row(1, eventId)).toMatchObject({ status, nextAttemptAt: null });
  });

  it("is skipped while its endpoint is disabled, whenever it was owed, and stays so", async () => {
    const { endpoint: made, ended, told, statuses } = await ledger();
    await made(1);
    await made(2);
    await ended(1);
    await told(endpoint(1), "endpoint.disabled");
    await ended(2);
    await told(endpoint(1), "endpoint.enabled");
    expect(await statuses()).toEqual(["1 skipped", "1 skipped", "2 pending", "2 pending"]);
    await ended(3);
    expect(await statuses()).toContain("1 pending");
  });

  it("is delivered all the same where the answer to an attempt came after that", async () => {
    const { endpoint: made, ended, told, row, delivery } = await ledger();
    await made(1);
    const [one, two] = [await ended(1), await ended(2)];
    for (const eventId of [one, two]) await told(delivery(1, eventId), "delivery.attempted", { attempt: 1 });
    await told(endpoint(1), "endpoint.updated", { ...config, status: "disabled" });
    await told(delivery(1, one), "delivery.responded", { attempt: 1, outcome: "delivered", httpStatus: 200 });
    await told(delivery(1, two), "delivery.responded", {
      attempt: 1,
      outcome: "timeout",
      nextAttemptAt: next,
    });
    expect((await row(1, one))?.status).toBe("delivered");
    expect(await row(1, two)).toMatchObject({
      status: "skipped",
      nextAttemptAt: null,
      lastOutcome: "timeout",
    });
  });

  it("stays owed while its endpoint is paused, and is cancelled with its deletion", async () => {
    const { endpoint: made, ended, told, statuses } = await ledger();
    await made(1);
    await ended(1);
    await told(endpoint(1), "endpoint.paused");
    await ended(2);
    expect(await statuses()).toEqual(["1 pending", "1 pending"]);
    await told(endpoint(1), "endpoint.deleted");
    await ended(3);
    expect(await statuses()).toEqual(["1 cancelled", "1 cancelled"]);
  });

  it("is owed for a recipient run's waiting always, for its end only where that is asked for", async () => {
    const { endpoint: made, ended, told, statuses } = await ledger();
    await made(1);
    await made(2, { recipientRuns: true });
    await ended(1, { parentId: idOf("run", 9), recipientIndex: 0 });
    expect(await statuses()).toEqual(["2 pending"]);
    await told(run(2), "run.created", { workflow: "w", parentId: idOf("run", 9), recipientIndex: 1 });
    await told(run(2), "run.started");
    await told(run(2), "run.awaiting_input", { waitId: idOf("wait", 1) });
    expect(await statuses()).toEqual(["1 pending", "2 pending", "2 pending"]);
  });

  it("asks the log for a run's beginning that passed long ago", async () => {
    const { endpoint: made, told, store, rows } = await ledger();
    await made(1);
    await told(run(1), "run.created", { workflow: "w", parentId: idOf("run", 9), recipientIndex: 0 });
    await told(run(1), "run.started");
    const open = async () => openProjector({ store, rows, projections: await allProjections(store) });
    await (await open()).catchUp();
    await told(run(1), "run.completed");
    await (await open()).catchUp();
    expect((await listDeliveries(rows, "default", {}, { limit: 5 })).rows).toEqual([]);
    expect(await rows.parked()).toEqual([]);
  });

  it("never crosses a workspace", async () => {
    const { endpoint: made, ended, statuses, row } = await ledger();
    await made(1);
    const eventId = await ended(1, {}, { workspace: "other" });
    expect(await row(1, eventId, "other")).toBeUndefined();
    expect(await statuses()).toEqual([]);
  });

  it("is not made by an attempt that no event owes: that is parked", async () => {
    const { told, parked, statuses } = await ledger();
    await told(streamOf(idOf("delivery", 1)), "delivery.attempted", { attempt: 1 });
    await statuses();
    expect(await parked()).toMatchObject([
      { name: "deliveries", id: idOf("delivery", 1), reason: expect.stringContaining("is owed by no event") },
    ]);
  });
});

describe("what is due", () => {
  it("comes in the order in which it is due, page by page, first attempts apart from others", async () => {
    const { endpoint: made, ended, told, delivery, statuses, rows, store } = await ledger();
    await made(1);
    await made(2, { types: ["run.completed"] });
    const events = [await ended(1), await ended(2), await ended(3)];
    await told(delivery(1, events[0] ?? ""), "delivery.attempted", { attempt: 1 });
    await told(delivery(1, events[0] ?? ""), "delivery.responded", {
      attempt: 1,
      outcome: "timeout_headers",
      nextAttemptAt: next,
    });
    await statuses();
    const nowMs = Date.parse(store.events.at(-1)?.meta.recordedAt ?? "");
    const [one, two] = [idOf("endpoint", 1), idOf("endpoint", 2)];
    const { first, retry } = urgencies;
    const of = { endpointId: two, urgency: first };
    const page = await listDueDeliveries(rows, nowMs, { ...of, limit: 2 });
    expect(page.rows.map(({ eventId }) => eventId)).toEqual([events[0], events[1]]);
    const last = page.rows.at(-1);
    const rest = await listDueDeliveries(rows, nowMs, { ...of, limit: 2, ...(last && { after: last }) });
    expect(rest.rows.map(({ eventId }) => eventId)).toEqual([events[2]]);
    const due = async (urgency: number, untilMs: number) =>
      (await listDueDeliveries(rows, untilMs, { endpointId: one, urgency, limit: 9 })).rows;
    expect((await due(first, nowMs)).map(({ eventId }) => eventId)).toEqual([events[1], events[2]]);
    expect(await due(retry, nowMs)).toEqual([]);
    expect((await due(retry, Date.parse(next))).map(({ eventId }) => eventId)).toEqual([events[0]]);
    expect(await oldestDue(rows)).toBe(page.rows[0]?.nextAttemptAt);
    expect((await firstOpen(rows, one))?.eventId).toBe(events[0]);
  });

  it("is nothing where nothing is open", async () => {
    const { rows, statuses } = await ledger();
    await statuses();
    const of = { endpointId: idOf("endpoint", 1), urgency: urgencies.first, limit: 9 };
    expect(await oldestDue(rows)).toBeUndefined();
    expect(await firstOpen(rows, of.endpointId)).toBeUndefined();
    expect((await listDueDeliveries(rows, Number.MAX_SAFE_INTEGER, of)).rows).toEqual([]);
  });
});
