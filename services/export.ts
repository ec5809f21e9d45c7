import { existsSync, renameSync, rmSync } from "node:fs";
import { isGzip, writeLogFile } from "../shared/ledger/copy-file.ts";
import { surveyLog } from "../shared/ledger/copy-survey.ts";
import { runCommand } from "../shared/platform/command.ts";
import { StartupError } from "../shared/platform/errors.ts";
import { openSource } from "./copying.ts";

/** `npm run export -- <file>`: the whole log in one file, while the server runs or not. */
await runCommand(async ({ config, args, say, note }) => {
  const [path, ...more] = args;
  if (path === undefined || path.startsWith("-") || more.length > 0)
    throw new StartupError("usage: npm run export -- <file.ndjson or file.ndjson.gz>");
  if (existsSync(path)) throw new StartupError(`${path} is there already: nothing is overwritten`);
  const source = await openSource(config);
  const part = `${path}.part`;
  try {
    for (const change of source.changed) note(change);
    const survey = await surveyLog(source, "the log");
    rmSync(part, { force: true }); // One that was begun and never finished.
    const { count, digest, head } = await writeLogFile(part, source, { gzip: isGzip(path) });
    if (digest !== survey.digest) throw new StartupError("the log was changed while it was exported");
    renameSync(part, path);
    say(`exported ${count} events up to position ${head}, digest ${digest}, to ${path}`);
    note(`${path} holds everything that was written into the log: keep it as secret as the log itself`);
    note("secrets are not in it: keep the vault and its key beside it");
    return 0;
  } catch (error) {
    rmSync(part, { force: true });
    throw (error as NodeJS.ErrnoException).code?.startsWith("E")
      ? new StartupError(`${path} cannot be written: ${(error as Error).message}`, { cause: error })
      : error;
  } finally {
    await source.close();
  }
});
