import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Position } from "../shared/event-store/event-store.ts";
import type { MovedEvent } from "../shared/event-store/moved-event.ts";
import { openSqliteEventStore } from "../shared/event-store/sqlite-event-store.ts";
import { lockLog } from "../shared/event-store/sqlite-lock.ts";
import { LOG_FILE } from "../shared/event-store/sqlite-log-file.ts";
import { keepBeside } from "../shared/event-store/sqlite-move.ts";
import { copyLog, type LogSource } from "../shared/ledger/copy-log.ts";
import { checkCopy, type Survey } from "../shared/ledger/copy-survey.ts";
import { type EpochStarted, epochAfter, startEpoch } from "../shared/ledger/epochs.ts";
import type { Config } from "../shared/platform/config.ts";
import { StartupError } from "../shared/platform/errors.ts";
import { prepareFolder } from "../shared/platform/folder.ts";
import { hasLog, ledgerOver, openReport } from "./copying.ts";
import { keptInViews, removeViews } from "./kept.ts";
import { whileStopped } from "./offline.ts";
import { openSecrets } from "./storage.ts";

/** Where a log is made, until it is whole. */
const UNFINISHED = "import.unfinished";

type Asked = { config: Config; source: LogSource; survey: Survey; say(line: string): void };

/** Makes the log of a data folder that has none. It appears there as a whole, or not at all. */
export async function importIntoSqlite({ config, source, survey, say }: Asked): Promise<EpochStarted> {
  const folder = config.data;
  prepareFolder(folder);
  const lock = await whileStopped(folder, async () => lockLog(folder));
  const closing: (() => Promise<unknown> | unknown)[] = [() => lock.close()];
  const unfinished = join(folder, UNFINISHED);
  try {
    if (hasLog(folder)) throw new StartupError(`there is a log in ${folder} already: nothing is overwritten`);
    const { vault, postgres } = await openSecrets(config, closing, {});
    const kept = await vault.head();
    const seen = [...(kept ? [kept] : []), ...(await keptInViews(config, postgres))];
    const epoch = epochAfter(
      survey.head,
      seen.map(({ position }) => position),
    );
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { mode: 0o700 });
    const started = await make({ config, source, survey, say }, unfinished, epoch);
    await removeViews(config, postgres);
    // What another log has left beside its file would be read into this one.
    for (const suffix of ["-wal", "-shm"]) rmSync(join(folder, LOG_FILE + suffix), { force: true });
    renameSync(join(unfinished, LOG_FILE), join(folder, LOG_FILE));
    syncFolder(folder);
    await vault.keepHead(started.position, started.leaf);
    return started;
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
    for (const step of closing.reverse()) await step();
  }
}

async function make(
  { config, source, survey, say }: Asked,
  folder: string,
  epoch: bigint,
): Promise<EpochStarted> {
  const store = openSqliteEventStore(folder, { ledger: source.ledger });
  try {
    let copied: { events: readonly MovedEvent[]; positions: readonly Position[] }[] = [];
    const keep = () => {
      keepBeside(store.db, copied);
      copied = [];
    };
    const report = openReport(say, survey.events);
    const target = {
      store,
      epoch,
      onComing: keep,
      onCopied: (events: readonly MovedEvent[], positions: readonly Position[]) => {
        copied.push({ events, positions });
      },
    };
    await copyLog(source, target, { now: Date.now, sleep, onProgress: (to) => report.onProgress(to) });
    keep();
    await checkCopy(store, survey);
    say(`copied and verified ${survey.events} events, ${report.rate()} events/s`);
    return await startEpoch(ledgerOver(store, config), [], { epoch, head: survey.head });
  } finally {
    await store.close();
  }
}

/** A new name is durable when its folder is. */
function syncFolder(folder: string): void {
  const directory = openSync(folder, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
