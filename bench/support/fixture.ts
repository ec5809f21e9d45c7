import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { allProjections } from "../../projections/all.ts";
import { openProjector } from "../../projections/projector.ts";
import { openSqliteRowStore } from "../../projections/sqlite-row-store.ts";
import { permissions } from "../../services/api/permissions.ts";
import { createEndpointHistory } from "../../shared/domain/endpoint/history.ts";
import type { NewEvent } from "../../shared/domain/event.ts";
import { openSqliteEventReader } from "../../shared/event-store/sqlite-event-reader.ts";
import { openSqliteEventStore } from "../../shared/event-store/sqlite-event-store.ts";
import { aggregates } from "../../shared/ledger/aggregates.ts";
import { found } from "../../shared/ledger/found.ts";
import { createKey, ensureWorkspace } from "../../shared/ledger/keys.ts";
import { openLedger } from "../../shared/ledger/ledger.ts";
import { childStream } from "../../shared/ledger/recipients.ts";
import { parseConfig } from "../../shared/platform/config.ts";
import { canonical, seal } from "../../shared/verification/canonical.ts";
import { newId, streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import { dataFolder, KEY } from "./processes.ts";

const APPENDED_TOGETHER = 500;
const FANOUT = 10;
const DAY_MS = 86_400_000;
/** When the ledger began: its runs are of the 30 days after. */
const FIRST_MS = Date.UTC(2026, 9, 1);

/** What a fixture holds, and runs that are worth asking for. */
export type Fixture = { folder: string; runs: number; events: number; ids: string[]; parents: string[] };

/** A ledger with so many runs and its views, made once. A tenth of the runs are recipient runs; workflows,
 *  statuses and recipients are as uneven as in life, and in the same shares whatever the number. */
export async function fixtureOf(runs: number): Promise<Fixture> {
  const folder = join(dataFolder, `runs-${runs}`);
  const about = join(folder, "fixture.json");
  if (existsSync(about)) return { ...JSON.parse(readFileSync(about, "utf8")), folder };
  const building = `${folder}.building`;
  rmSync(building, { recursive: true, force: true });
  mkdirSync(building, { recursive: true, mode: 0o700 });
  console.error(`making ${folder}: once`);
  const made = await record(building, runs);
  await project(building);
  writeFileSync(join(building, "fixture.json"), JSON.stringify(made));
  renameSync(building, folder);
  return { ...made, folder };
}

async function record(folder: string, runs: number): Promise<Omit<Fixture, "folder">> {
  const store = openSqliteEventStore(folder);
  const { limits } = parseConfig({});
  const ledger = openLedger({ store, aggregates, limits, now: () => FIRST_MS, sleep, wake: () => {} });
  await found(ledger);
  const actor = { type: "system", id: "start" } as const;
  const caller = { workspace: "default", actor, requestId: null, correlationId: null };
  await ensureWorkspace(ledger, caller);
  await createKey(ledger, { ...caller, permissions, text: KEY });
  let events = 3;
  const ids: string[] = [];
  const parents: string[] = [];
  let appends: Promise<unknown>[] = [];
  let parent = "";
  for (let number = 0; number < runs; number++) {
    const place = number % (FANOUT * 10);
    const isChild = place >= 1 && place <= FANOUT;
    const stream = isChild
      ? childStream(ledger, "default", streamOf(parent), place - 1)
      : streamOf(newId("run"));
    const id = wireIdOf(stream);
    if (place === 0) parent = id;
    const told = story(number, place, parent, runs / 200);
    const atMs = FIRST_MS + Math.floor((number * 30 * DAY_MS) / runs);
    appends.push(store.append(stream, 0, sealAll(store.ledger, stream, atMs, told)));
    events += told.length;
    if (number % Math.ceil(runs / 1000) === 0) ids.push(id);
    if (place === 0 && parents.length < 100) parents.push(id);
    if (appends.length < APPENDED_TOGETHER) continue;
    await Promise.all(appends);
    appends = [];
    if (number % (runs / 10) < APPENDED_TOGETHER) console.error(`  ${number} runs recorded`);
  }
  await Promise.all(appends);
  store.db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  await store.close();
  return { runs, events, ids, parents };
}

/** Runs that have ended, appended to a folder's log while nobody else has it open. */
export async function endedRuns(folder: string, runs: number): Promise<void> {
  const store = openSqliteEventStore(folder);
  const content = { input: { plan: "pro", userId: 421_337, tags: ["trial", "eu"], note: "x".repeat(400) } };
  const told: Told[] = [
    { type: "run.created", data: { workflow: "welcome-new-customers" }, content },
    { type: "run.started" },
    { type: "run.completed", content: { output: { sent: 3, skipped: 0 } } },
  ];
  for (let made = 0; made < runs; made += APPENDED_TOGETHER) {
    const count = Math.min(APPENDED_TOGETHER, runs - made);
    const streams = Array.from({ length: count }, () => streamOf(newId("run")));
    const atMs = Date.now();
    await Promise.all(
      streams.map((stream) => store.append(stream, 0, sealAll(store.ledger, stream, atMs, told))),
    );
  }
  await store.close();
}

type Told = { type: string; data?: object; content?: object };

/** A number that looks random and is the same every time. */
const mixed = (number: number): number => Math.imul(number ^ (number >>> 15), 0x2c1b3c6d) >>> 8;

/** What happens to a run. The first of a hundred has ten recipients, and the ten after it are theirs. */
function story(number: number, place: number, parent: string, users: number): Told[] {
  const dice = mixed(number);
  // Most runs are of a few workflows, and some workflows have hardly any.
  const workflow = `workflow-${Math.floor(40 * ((dice % 1000) / 1000) ** 3)}`;
  const isParent = place === 0;
  const isChild = place >= 1 && place <= FANOUT;
  const recipients = Array.from(
    { length: FANOUT },
    (_, index) => `user-${mixed(number + 1 + index) % users}`,
  );
  const created: Told = isChild
    ? {
        type: "run.created",
        data: { workflow, parentId: parent, recipientIndex: place - 1 },
        content: { recipient: `user-${dice % users}` },
      }
    : {
        type: "run.created",
        data: isParent ? { workflow, recipientCount: FANOUT } : { workflow },
        content: {
          input: { plan: "pro", userId: dice, tags: ["trial", "eu"] },
          metadata: { source: "bench", region: "eu-central-1" },
          ...(isParent ? { recipients } : {}),
        },
      };
  if (isParent) {
    const byStatus = { completed: FANOUT };
    const ended = { type: "run.completed", data: { recipientRuns: { total: FANOUT, byStatus } } };
    return [created, { type: "run.started" }, ended];
  }
  // Recipient runs have all ended well: nobody has to follow them up.
  const kind = isChild ? 22 : mixed(dice) % 100;
  const started: Told = { type: "run.started" };
  if (kind < 3) return [created];
  if (kind < 8) return [created, started];
  if (kind < 10)
    return [
      created,
      started,
      { type: "run.awaiting_input", data: { waitId: newId("wait") }, content: { prompt: "Go on?" } },
    ];
  if (kind < 22) {
    const failed: Told = {
      type: "step.failed",
      data: { stepRef: "send", attempt: 1 },
      content: { error: { message: "the mail server said 451" } },
    };
    const begun: Told = { type: "step.started", data: { stepRef: "send", attempt: 1 } };
    const end: Told = {
      type: "run.failed",
      data: { reason: "step_failed", hasError: true },
      content: { error: { message: "the mail server said 451", code: "mail" } },
    };
    return kind < 15 ? [created, started, begun, failed, end] : [created, started, end];
  }
  return [created, started, { type: "run.completed", content: { output: { sent: 3, skipped: 0 } } }];
}

function sealAll(ledger: string, stream: string, atMs: number, told: readonly Told[]): NewEvent[] {
  const events: NewEvent[] = [];
  for (const { type, data, content } of told) {
    const before = events.at(-1);
    const at = new Date(atMs + events.length).toISOString();
    events.push(
      seal(ledger, {
        id: newId("evt"),
        stream,
        revision: events.length,
        type,
        data: canonical(data ?? {}),
        ...(content ? { content: canonical(content) } : {}),
        v: 1,
        workspace: "default",
        actor: { type: "api_key", id: "benchbench" },
        correlationId: null,
        causationId: null,
        requestId: newId("req"),
        at,
        recordedAt: at,
        prev: before ? Buffer.from(before.leaf).toString("hex") : null,
      }),
    );
  }
  return events;
}

/** Builds the views of a folder's log by the real projector. */
export async function project(folder: string): Promise<void> {
  const store = openSqliteEventReader(folder);
  const rows = openSqliteRowStore(folder);
  const endpoints = createEndpointHistory();
  for await (const event of store.readAll(0n, { kind: "endpoint" })) endpoints.take(event);
  const projector = await openProjector({ store, rows, projections: allProjections(endpoints) });
  await projector.catchUp();
  await rows.close();
  await store.close();
}
