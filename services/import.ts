import { openLogFileSource } from "../shared/ledger/copy-file.ts";
import { surveyLog } from "../shared/ledger/copy-survey.ts";
import { runCommand } from "../shared/platform/command.ts";
import { StartupError } from "../shared/platform/errors.ts";
import { prepareFolder } from "../shared/platform/folder.ts";
import { copyIntoEventStoreDb } from "./copy-into-eventstoredb.ts";
import { importIntoSqlite } from "./import-into-sqlite.ts";
import { keptInViews } from "./kept.ts";
import { openSecrets } from "./storage.ts";

/** `npm run import -- <file>`: an exported log, made into the log that the configuration names. */
await runCommand(async ({ config, args, say, note }) => {
  const [path, ...more] = args;
  if (path === undefined || path.startsWith("-") || more.length > 0)
    throw new StartupError("usage: npm run import -- <file>");
  const source = await openLogFileSource(path);
  const survey = await surveyLog(source, path); // First: of a file that is not whole nothing is made.
  const { eventStoreDb } = config;
  if (!eventStoreDb) {
    const { epoch, position } = await importIntoSqlite({ config, source, survey, say });
    say(`imported ${survey.events} events from ${path}; epoch ${epoch} began at position ${position}`);
  } else {
    prepareFolder(config.data);
    const closing: (() => Promise<unknown> | unknown)[] = [];
    try {
      const storage = await openSecrets(config, closing, {});
      const kept = await storage.vault.head();
      const views = await keptInViews(config, storage.postgres);
      const seen = [...(kept ? [kept] : []), ...views].map(({ position }) => position);
      const asked = { source, survey, from: "a file", seen, storage, say, closeSource: () => {} };
      const done = await copyIntoEventStoreDb({ ...asked, config: { ...config, eventStoreDb } });
      say(`${done === "moved" ? "imported" : "had already"} ${survey.events} events from ${path}`);
    } finally {
      for (const step of closing.reverse()) await step();
    }
  }
  note("secrets are not in such a file: without the vault of the old log nothing can be signed as before");
  return 0;
});
