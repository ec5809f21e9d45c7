import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Position } from "../shared/event-store/event-store.ts";
import { LOG_FILE } from "../shared/event-store/sqlite-log-file.ts";
import { openSqliteStoredLog } from "../shared/event-store/sqlite-stored-log.ts";
import { aggregates } from "../shared/ledger/aggregates.ts";
import type { CopyProgress, LogSource } from "../shared/ledger/copy-log.ts";
import { type Ledger, openLedger } from "../shared/ledger/ledger.ts";
import { storedEvent } from "../shared/ledger/stored-log.ts";
import { openStreamKeys } from "../shared/ledger/stream-keys.ts";
import type { Config } from "../shared/platform/config.ts";
import { requireLog } from "./offline.ts";
import { openSecrets } from "./storage.ts";

/** Something open that is copied from. */
export type OpenSource = LogSource & {
  /** What was changed in it beside its events. */
  changed: readonly string[];
  close(): Promise<void>;
};

/** The log of a data folder, up to where it ends now: also while a server writes it. */
export function openSqliteSource(folder: string): OpenSource & { movedTo: string | undefined } {
  requireLog(folder);
  const log = openSqliteStoredLog(folder);
  const until = log.head();
  const { ledger, epoch, firstPosition, movedTo, changed } = log;
  return {
    ledger,
    epoch,
    firstPosition,
    movedTo,
    changed,
    *events() {
      for (const event of log.events()) {
        if (event.position > until) return;
        yield { ...event, ...log.beside(event.position) };
      }
    },
    close: async () => log.close(),
  };
}

/** The log that is configured. */
export async function openSource(config: Config): Promise<OpenSource> {
  if (!config.eventStoreDb) return openSqliteSource(config.data);
  const closing: (() => Promise<unknown> | unknown)[] = [];
  const { vault } = await openSecrets(config, closing, {});
  const close = async () => {
    for (const step of closing.splice(0).reverse()) await step();
  };
  try {
    const { openEventStoreDbCopy } = await import("../shared/event-store/eventstoredb-move.ts");
    const { url, streamPrefix } = config.eventStoreDb;
    const copy = await openEventStoreDbCopy({ url, streamPrefix, keys: openStreamKeys(vault) });
    closing.push(() => copy.close());
    return {
      ledger: copy.ledger,
      epoch: copy.epoch,
      changed: [],
      async *events() {
        for await (const { event, ...beside } of copy.events()) yield { ...storedEvent(event), ...beside };
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The ledger over a copy, to begin its epoch. */
export const ledgerOver = (store: Ledger["store"], { limits }: Config): Ledger =>
  openLedger({ store, aggregates, limits, now: Date.now, sleep, wake: () => {} });

export const hasLog = (folder: string): boolean => existsSync(join(folder, LOG_FILE));

const EVERY_MS = 1000;

/** Says once a second how far the copy is, and how fast it goes. */
export function openReport(say: (line: string) => void, total: number, now: () => number = Date.now) {
  const startedMs = now();
  let saidMs = startedMs;
  let position: Position = 0n;
  let copied = 0;
  return {
    onProgress(progress: CopyProgress): void {
      ({ copied, position } = progress);
      if (now() - saidMs < EVERY_MS) return;
      saidMs = now();
      say(`${copied} of ${total} events, up to position ${position}, ${this.rate()} events/s`);
    },
    rate: () => Math.round((copied * 1000) / Math.max(1, now() - startedMs)),
  };
}
