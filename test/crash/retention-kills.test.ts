import { describe, expect, it } from "vitest";
import { ledgerStream } from "../../shared/ledger/found.ts";
import { runScript } from "../support/child.ts";
import { openLog } from "../support/moved-log.ts";
import { command, did, openTestLedger } from "../support/open-ledger.ts";
import { runProgram } from "../support/run-program.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const EXCERPTS = 1000;
/** After it was said in the log, in the middle of erasing, after it, and once the place was kept. */
const POINTS = ["erasing", "half", "erased", "place"].flatMap((word) =>
  [1, 2, 5].map((times): [string, number] => [word, times]),
);

/** A log with this many excerpts, a third of them of attempts that failed. */
async function answered(): Promise<string> {
  const folder = temporaryFolder();
  const store = openLog(folder);
  const { ledger } = await openTestLedger({ store });
  await Promise.all(
    Array.from({ length: EXCERPTS }, (_, n) => {
      const started = { endpoint: "e", endpointRevision: 0, event: "v", attempt: 1, scheduleStep: 0 };
      const ended = { attempt: 1, outcome: n % 3 === 0 ? "http_error" : "delivered", durationMs: 1 };
      const events = [
        did("delivery.attempted", { ...started, bodySha256: "0".repeat(64), secretKeyIds: [] }),
        did("delivery.responded", ended, { excerpt: `answer ${n}` }),
      ];
      return ledger.create("delivery", command(events));
    }),
  );
  await store.close();
  return folder;
}

describe("who erases excerpts and is killed", () => {
  it("at every point, again and again: nothing stays, and each excerpt is said once", async () => {
    const folder = await answered();
    let killed = 0;
    for (const [word, times] of POINTS) {
      const child = runScript("retain-child.ts", [folder, word, `${times}`]);
      await child.gone;
      if (child.process.signalCode === "SIGKILL") killed++;
      else expect(child.lines.at(-1)).toBe("done");
    }
    const last = runScript("retain-child.ts", [folder]);
    await last.says("done");
    await last.gone;
    expect(killed).toBeGreaterThan(4);

    const store = openLog(folder);
    const said = (await Array.fromAsync(store.read(ledgerStream(store.ledger)))).slice(1);
    await store.close();
    const counts = said.map(({ data }) => Number(data.count));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(EXCERPTS);
    const verified = await runProgram("services/verify.ts", { data: folder });
    expect(verified.out).toContain(`; the content of ${EXCERPTS} was erased\n`);
  }, 60_000);
});
