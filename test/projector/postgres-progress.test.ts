import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { ViewState, ViewStatus } from "../../projections/row-store.ts";
import { openPostgresProgress, progressOf } from "../../services/projector/postgres-progress.ts";
import type { Postgres } from "../../shared/postgres/postgres.ts";
import { newSharedSchema } from "../support/shared-schema.ts";

const HOURLY_MS = 3_600_000;
const never = new AbortController().signal;

const status = (name: string, version: number, position: bigint, state: ViewState = "live"): ViewStatus => ({
  name,
  version,
  state,
  position,
  eventsSeen: Number(position),
  leafHash: new Uint8Array(32),
  digest: new Uint8Array(32),
  clockMs: 0,
});

/** Checkpoints in PostgreSQL, somebody who projects, and the progress of a process that does not. */
async function openProgress(lookMs = HOURLY_MS) {
  const shared = await newSharedSchema();
  const projecting = await shared.open();
  await projecting.query(`CREATE SCHEMA ${shared.schema}`);
  await projecting.query("CREATE TABLE checkpoint (position bigint)");
  await projecting.query("INSERT INTO checkpoint VALUES (3)");
  const postgres = await shared.open({ name: `progress-${shared.schema}` });
  const faults: Error[] = [];
  let looks = 0;
  const channel = `${shared.schema}_views`;
  const views = async () => {
    looks++;
    const [row] = await postgres.query<{ position: bigint }>("SELECT position FROM checkpoint");
    return [status("runs", 1, row?.position ?? 0n)];
  };
  const onFault = (error: Error) => void faults.push(error);
  const progress = await openPostgresProgress(postgres, { views, channel, lookMs, onFault });
  onTestFinished(() => progress.close());
  const project = (position: bigint, on: Pick<Postgres, "transaction"> = projecting) =>
    on.transaction(async (tx) => {
      await tx.query("UPDATE checkpoint SET position = $1", [position]);
      await tx.query("SELECT pg_notify($1, $2)", [channel, `${position}`]);
    });
  return { shared, projecting, postgres, progress, project, faults, looks: () => looks };
}

describe("how far the views are that another process projects", () => {
  it("is known at once", async () => {
    const { progress } = await openProgress();
    expect([progress.position(), progress.eventsSeen(), progress.live()]).toEqual([3n, 3, true]);
  });

  it("is told with every commit", async () => {
    const { progress, project } = await openProgress();
    const reached = progress.reached(5n, never);
    await project(4n);
    await project(7n);
    expect(await reached).toBe(true);
    expect(progress.position()).toBe(7n);
  });

  it("is not told of what was not committed", async () => {
    const { progress, projecting, project } = await openProgress();
    const cut = projecting.transaction(async (tx) => {
      await tx.query("UPDATE checkpoint SET position = 9");
      throw new Error("out of order");
    });
    await expect(cut).rejects.toThrow("out of order");
    await project(4n);
    await progress.reached(4n, never);
    expect(progress.position()).toBe(4n);
  });

  it("is looked at in time where nobody tells", async () => {
    const { progress, projecting } = await openProgress(50);
    await projecting.query("UPDATE checkpoint SET position = 8");
    expect(await progress.reached(8n, never)).toBe(true);
  });

  it("is looked at again when the connection was cut", async () => {
    const { progress, projecting, shared, looks } = await openProgress();
    await vi.waitFor(() => expect(looks()).toBeGreaterThan(0));
    await projecting.transaction(async (tx) => {
      await tx.query("UPDATE checkpoint SET position = 8"); // What is told now nobody hears.
      await tx.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", [
        `progress-${shared.schema}`,
      ]);
    });
    expect(await progress.reached(8n, never)).toBe(true);
  });

  it("takes few looks however often it is told", async () => {
    const { progress, project, looks } = await openProgress();
    const before = looks();
    for (let position = 4n; position <= 60n; position++) await project(position);
    await progress.reached(60n, never);
    expect(looks() - before).toBeLessThanOrEqual(60);
  });

  it("says once that it cannot look, and goes on when it can", async () => {
    const { progress, projecting, project, faults } = await openProgress(20);
    await projecting.query("ALTER TABLE checkpoint RENAME TO away");
    await vi.waitFor(() => expect(faults).toHaveLength(1));
    await projecting.query("ALTER TABLE away RENAME TO checkpoint");
    await project(5n);
    expect(await progress.reached(5n, never)).toBe(true);
    expect(faults).toHaveLength(1);
  });
});

describe("the progress of several views", () => {
  it("is that of the one that is the furthest behind", () => {
    const views = [status("runs", 1, 9n), status("steps", 1, 7n), status("deliveries", 1, 8n)];
    expect(progressOf(views)).toEqual({ position: 7n, eventsSeen: 7, live: true });
  });

  it("is that of the versions that serve, while newer ones are built", () => {
    const views = [status("runs", 1, 9n), status("runs", 2, 2n, "rebuilding"), status("steps", 1, 8n)];
    expect(progressOf(views)).toEqual({ position: 8n, eventsSeen: 8, live: true });
  });

  it("is not live before every view serves, or is there", () => {
    expect(progressOf([])).toEqual({ position: 0n, eventsSeen: 0, live: false });
    expect(progressOf([status("runs", 1, 9n), status("steps", 1, 4n, "rebuilding")]).live).toBe(false);
  });
});
