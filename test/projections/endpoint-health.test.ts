import { describe, expect, it } from "vitest";
import {
  endpointHealthView,
  listEndpointHealth,
} from "../../projections/endpoint-health/endpoint-health.table.ts";
import { openProjector } from "../../projections/projector.ts";
import { evolveHealth, unknownHealth } from "../../shared/domain/endpoint/health.ts";
import { streamOf } from "../../shared/verification/ids.ts";
import { openMemoryEventStore } from "../support/memory-event-store.ts";
import { idOf, recorder } from "../support/recording.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { allProjections, openRows } from "../support/views.ts";

const config = { types: ["*"], recipientRuns: false, bodyVersion: 1, secretKeyIds: [], status: "enabled" };
const [one, two] = [idOf("endpoint", 1), idOf("endpoint", 2)];

async function ledger() {
  const store = openMemoryEventStore();
  const { record } = recorder(store);
  const rows = await openRows(temporaryFolder());
  const projector = await openProjector({ store, rows, projections: await allProjections(store) });
  const catchUp = () => projector.catchUp();
  for (const id of [one, two]) await record(streamOf(id), "endpoint.created", config, { url: "u" });
  /** An answer on a delivery of its own; that nothing owed it is the deliveries' view's to say. */
  let made = 0;
  const answered = (endpoint: string | undefined, outcome: string, over: object = {}) => {
    const data = { attempt: 1, outcome, durationMs: 1, ...(endpoint && { endpoint }), ...over };
    return record(streamOf(idOf("delivery", ++made)), "delivery.responded", data);
  };
  const row = async (id: string) => (await rows.get(endpointHealthView, id)).row;
  return { store, rows, record, answered, catchUp, row, rebuild: () => projector.rebuild() };
}

describe("an endpoint's health in the views", () => {
  it("is what its events fold into, whenever they come, and the same when it is built again", async () => {
    const { store, answered, catchUp, row, rebuild, record } = await ledger();
    for (const outcome of ["delivered", "dns", "reset"]) await answered(one, outcome);
    await catchUp();
    expect((await row(one))?.verdict).toBeNull();
    await answered(two, "http_error", { httpStatus: 410 });
    for (const outcome of ["refused", "tls"]) await answered(one, outcome);
    await catchUp();
    const before = await row(one);
    expect(before).toMatchObject({ id: one, workspace: "default", createdPosition: 1n, failures: 4 });
    expect(before?.verdict).toEqual({
      type: "endpoint.degraded",
      reason: "failing",
      by: store.events.at(-1)?.id,
    });
    const ours = store.events.filter(({ stream, data }) => stream === streamOf(one) || data.endpoint === one);
    expect(before).toMatchObject(ours.reduce(evolveHealth, unknownHealth));
    expect(await row(two)).toMatchObject({
      gone: true,
      verdict: { type: "endpoint.disabled", reason: "gone" },
    });
    await record(streamOf(one), "endpoint.degraded", { reason: "failing" });
    await rebuild();
    expect(await row(one)).toMatchObject({ degraded: true, verdict: null, revision: 1, failures: 4 });
  });

  it("goes with its endpoint, and nothing that is answered later brings it back", async () => {
    const { record, answered, catchUp, row, rows } = await ledger();
    await answered(one, "dns");
    await catchUp();
    await record(streamOf(one), "endpoint.deleted");
    await answered(one, "http_error", { httpStatus: 410 });
    await catchUp();
    expect(await row(one)).toBeUndefined();
    const parked = (await rows.parked()).filter(({ name }) => name === endpointHealthView.name);
    expect(parked).toEqual([]);
  });

  it("leaves out what was recorded before answers named their endpoints", async () => {
    const { answered, catchUp, row } = await ledger();
    for (let times = 0; times < 5; times++) await answered(undefined, "dns");
    await catchUp();
    expect(await row(one)).toMatchObject({ failures: 0, lastAttemptAt: null });
  });

  it("is listed for all endpoints, page by page", async () => {
    const { rows, catchUp } = await ledger();
    await catchUp();
    const first = await listEndpointHealth(rows, { after: 0n, limit: 1 });
    expect([first.rows.map(({ id }) => id), first.more]).toEqual([[one], true]);
    const rest = await listEndpointHealth(rows, { after: first.rows[0]?.createdPosition ?? 0n, limit: 1 });
    expect([rest.rows.map(({ id }) => id), rest.more]).toEqual([[two], false]);
    expect(rest.view.position).toBe(2n);
  });
});
