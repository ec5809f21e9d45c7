import { describe, expect, it } from "vitest";
import { openProjector } from "../../projections/projector.ts";
import { listOpenReplays, listReplays, replaysView } from "../../projections/replays/replays.table.ts";
import { newId, streamOf } from "../../shared/verification/ids.ts";
import { openMemoryEventStore } from "../support/memory-event-store.ts";
import { idOf, recorder } from "../support/recording.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { allProjections, openRows } from "../support/views.ts";

const endpoint = idOf("endpoint", 1);
const asked = { endpoint, endpointRevision: 2, kind: "failed", from: "7", until: "90" };

async function ledger() {
  const store = openMemoryEventStore();
  const rows = await openRows(temporaryFolder());
  const projector = await openProjector({ store, rows, projections: await allProjections(store) });
  const { record } = recorder(store);
  const catchUp = () => projector.catchUp();
  const open = async () => {
    const page = await listOpenReplays(rows, { after: 0n, until: 2n ** 62n, limit: 10 });
    return page.rows.map((row) => row.id);
  };
  return { record, rows, catchUp, open };
}

describe("a replay's row", () => {
  it("is what its stream says, and open as long as there is something to do", async () => {
    const { record, rows, catchUp, open } = await ledger();
    const id = newId("replay");
    const stream = streamOf(id);
    const row = async () => {
      await catchUp();
      return (await rows.get(replaysView, id)).row;
    };
    await record(stream, "replay.requested", { ...asked, perSecondMax: 2.5 });
    expect(await row()).toMatchObject({
      ...{ id, workspace: "default", endpointId: endpoint, endpointRevision: 2, kind: "failed" },
      ...{ from: "7", until: "90", perSecondMax: 2.5, status: "running", position: "7", requested: 0 },
      ...{ reason: null, revision: 0, createdPosition: 1n, updatedPosition: 1n, openReplay: 1n },
    });
    await record(stream, "replay.progressed", { position: "40", requested: 3 });
    expect(await row()).toMatchObject({ position: "40", requested: 3, revision: 1, updatedPosition: 2n });
    expect(await open()).toEqual([id]);
    await record(stream, "replay.completed", { requested: 5 });
    expect(await row()).toMatchObject({ status: "completed", position: "90", requested: 5 });
    expect(await open()).toEqual([]);
    await record(stream, "replay.cancel_requested");
    expect(await row()).toMatchObject({ status: "cancelling", openReplay: 1n });
    expect(await open()).toEqual([id]);
    await record(stream, "replay.cancelled", { reason: "cancelled", requested: 5 });
    expect(await row()).toMatchObject({ status: "cancelled", reason: "cancelled", openReplay: null });
    expect(await open()).toEqual([]);
  });

  it("is listed with its endpoint's, the newest first", async () => {
    const { record, rows, catchUp, open } = await ledger();
    const ids = [newId("replay"), newId("replay"), newId("replay")] as const;
    const other = idOf("endpoint", 2);
    for (const [index, id] of ids.entries())
      await record(streamOf(id), "replay.requested", { ...asked, endpoint: index === 1 ? other : endpoint });
    await catchUp();
    const listed = async (endpointId: string, workspace = "default") =>
      (await listReplays(rows, workspace, endpointId, { limit: 5 })).rows.map((row) => row.id);
    expect(await listed(endpoint)).toEqual([ids[2], ids[0]]);
    expect(await listed(other)).toEqual([ids[1]]);
    expect(await listed(endpoint, "other")).toEqual([]);
    expect(await open()).toEqual([...ids]);
    const page = await listOpenReplays(rows, { after: 1n, until: 2n, limit: 10 });
    expect(page.rows.map((row) => row.id)).toEqual([ids[1]]);
  });
});
