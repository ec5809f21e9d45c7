import { UnusableLog } from "../shared/event-store/event-store.ts";
import { addressIn } from "../shared/event-store/eventstoredb-failures.ts";
import { openSqliteEventReader } from "../shared/event-store/sqlite-event-reader.ts";
import { lockLog } from "../shared/event-store/sqlite-lock.ts";
import { markMoved } from "../shared/event-store/sqlite-move.ts";
import { surveyLog } from "../shared/ledger/copy-survey.ts";
import { checkKept } from "../shared/ledger/kept-head.ts";
import { runCommand } from "../shared/platform/command.ts";
import type { Config } from "../shared/platform/config.ts";
import { StartupError } from "../shared/platform/errors.ts";
import type { Vault } from "../shared/vault/vault.ts";
import { copyIntoEventStoreDb } from "./copy-into-eventstoredb.ts";
import { hasLog, openSqliteSource } from "./copying.ts";
import { keptInViews } from "./kept.ts";
import { requireLog, whileStopped } from "./offline.ts";
import { carrySecrets, hasVaultFile, openOldVault } from "./secrets.ts";
import { openSecrets } from "./storage.ts";

/** `npm run move`: the log of the data folder goes on in the event store that is configured, and the secrets
 *  beside it in the vault that is; where the log stays, the secrets alone. Whatever ends it, running it again
 *  goes on with it, and at no moment can both logs be written. */
await runCommand(async ({ config, say }) => {
  const { data, eventStoreDb } = config;
  if (config.postgres && hasVaultFile(config) && !(eventStoreDb && hasLog(data)))
    return carryAlone(config, say);
  if (!eventStoreDb)
    throw new StartupError(
      "there is nowhere to move the log to: set RUNLEDGER_EVENT_STORE=eventstoredb and " +
        "RUNLEDGER_EVENT_STORE_URL, as the servers will have them",
    );
  requireLog(data);
  const lock = await whileStopped(data, async () => lockLog(data));
  const closing: (() => Promise<unknown> | unknown)[] = [() => lock.close()];
  try {
    const source = openSqliteSource(data);
    closing.push(() => source.close());
    const place = `${addressIn(eventStoreDb.url)} under ${eventStoreDb.streamPrefix}`;
    const { movedTo, changed } = source;
    if (changed.length > 0) throw new UnusableLog(changed.join("; "));
    if (movedTo !== undefined && movedTo !== place)
      throw new UnusableLog(`the log in ${data} was moved to ${movedTo}: it cannot be moved to ${place}`);
    const storage = await openSecrets(config, closing, {});
    const old = openOldVault(config);
    closing.push(() => old.close());
    const kept = await old.head();
    if (kept && movedTo === undefined) await checkHeadOf(data, kept);
    const survey = await surveyLog(source, "the log");
    if (storage.postgres) await carrySecrets(old, storage.vault);
    const views = await keptInViews(config, undefined);
    const seen = [...(kept ? [kept] : []), ...views].map(({ position }) => position);
    const done = await copyIntoEventStoreDb({
      config: { ...config, eventStoreDb },
      source,
      survey,
      from: data,
      seen,
      storage,
      say,
      closeSource: () => {
        if (movedTo === undefined) markMoved(data, place, new Date().toISOString());
      },
    });
    if (done === "was there" && movedTo === undefined)
      throw new UnusableLog(
        `the log is at ${place} already, moved from another copy of ${data}: start no server on this one`,
      );
    say(
      done === "moved"
        ? `moved ${survey.events} events to ${place}: start the servers with this configuration`
        : `the log was moved to ${place} before: there is nothing left to do`,
    );
    return 0;
  } finally {
    for (const step of closing.reverse()) await step();
  }
});

/** The log is where it is to be: only the secrets are not. */
async function carryAlone(config: Config, say: (line: string) => void): Promise<number> {
  const lock = await whileStopped(config.data, async () => lockLog(config.data));
  const closing: (() => Promise<unknown> | unknown)[] = [() => lock.close()];
  try {
    const { vault } = await openSecrets(config, closing, {});
    const old = openOldVault(config);
    closing.push(() => old.close());
    const carried = await carrySecrets(old, vault);
    say(`carried ${carried} secrets to PostgreSQL: start the servers with this configuration`);
    return 0;
  } finally {
    for (const step of closing.reverse()) await step();
  }
}

async function checkHeadOf(folder: string, kept: NonNullable<Awaited<ReturnType<Vault["head"]>>>) {
  const reader = openSqliteEventReader(folder);
  try {
    await checkKept(reader, kept, "the vault");
  } finally {
    await reader.close();
  }
}
