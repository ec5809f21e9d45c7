import { onTestFinished } from "vitest";
import type { Proposed } from "../../shared/domain/event.ts";
import {
  openSqliteEventStore,
  type SqliteEventStoreOptions,
} from "../../shared/event-store/sqlite-event-store.ts";
import { aggregates } from "../../shared/ledger/aggregates.ts";
import type { Caller, Command } from "../../shared/ledger/command.ts";
import { found } from "../../shared/ledger/found.ts";
import { type LedgerDeps, openLedger } from "../../shared/ledger/ledger.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import { cell, openCellStore } from "./cell.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/** The limits of the log format. */
export const limits = {
  eventBytesMax: 256 * 1024,
  parentEventBytesMax: 768 * 1024,
  appendEventsMax: 100,
  appendBytesMax: 768 * 1024,
  runEventsMax: 10_000,
  commandIdLengthMax: 255,
};

export const caller: Caller = {
  workspace: "default",
  actor: { type: "api_key", id: "abcdefghij" },
  requestId: null,
  correlationId: null,
};

/** What a producer's call becomes: the items' shapes as the API would hash them. */
export function command(proposed: Proposed | readonly Proposed[], extra: Partial<Command> = {}): Command {
  const items = [proposed].flat() as Proposed[];
  return {
    ...caller,
    operation: items[0]?.type === "run.created" ? "create_run" : "record_event",
    items: items.map((each) => ({
      proposed: each,
      shape: { type: each.type, data: { ...each.data, ...each.content } },
    })),
    ...extra,
  };
}

export const created = (data: object = {}, content?: object): Proposed => ({
  type: "run.created",
  data: { workflow: "onboarding", ...data },
  ...(content ? { content: content as never } : {}),
});

export const did = (type: string, data: object = {}, content?: object): Proposed => ({
  type,
  data: data as never,
  ...(content ? { content: content as never } : {}),
});

/** A ledger on a real SQLite file in a folder of its own, closed when the test ends. */
export async function openTestLedger(
  options: Partial<LedgerDeps> & { folder?: string; sqlite?: SqliteEventStoreOptions } = {},
) {
  const folder = options.folder ?? temporaryFolder();
  const store =
    options.store ??
    (cell.eventStoreDb ? await openCellStore(folder) : openSqliteEventStore(folder, options.sqlite));
  const ledger = openLedger({ aggregates, limits, ...systemClock, wake: () => {}, ...options, store });
  await found(ledger);
  onTestFinished(() => store.close());
  return { ledger, store, folder };
}
