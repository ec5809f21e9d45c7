import { statSync } from "node:fs";
import { join } from "node:path";
import { type Bench, rounded } from "./support/bench.ts";
import { fixtureOf } from "./support/fixture.ts";

/** What an event takes on disk, in the log and in the views. There is no promise about it: it is to be
 *  known. */
export const bench: Bench = {
  target: "none: bytes on disk for each event",
  async run() {
    const { folder, runs, events } = await fixtureOf(1_000_000);
    const bytes = (file: string) => statSync(join(folder, file)).size;
    const [log, views] = [bytes("log.db"), bytes("views.db")];
    return {
      value: rounded((log + views) / events, 0),
      met: true,
      logBytesPerEvent: rounded(log / events, 0),
      viewsBytesPerEvent: rounded(views / events, 0),
      viewsBytesPerRun: rounded(views / runs, 0),
      runs,
      events,
    };
  },
};
