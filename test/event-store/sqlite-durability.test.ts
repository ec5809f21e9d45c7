import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished } from "vitest";
import { openSqliteEventStore } from "../../shared/event-store/sqlite-event-store.ts";
import { runScript } from "../support/child.ts";
import { itNeeds } from "../support/skip.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const strace = {
  name: "strace that may trace",
  isThere: spawnSync("strace", ["-o", "/dev/null", "true"], { stdio: "ignore" }).status === 0,
};

type Call = { call: "sync" | "say"; text: string };

/** What a process that appends did, in order: each fsync of the log, and each line that it said. */
async function traced(what: string): Promise<Call[]> {
  const folder = temporaryFolder();
  const trace = join(folder, "trace");
  // -y names the file behind each number.
  const through = ["strace", "-f", "-y", "-s", "200", "-e", "trace=fsync,fdatasync,write", "-o", trace];
  const child = runScript("append-child.ts", [folder, what], through);
  await child.says("open");
  child.tell("end");
  await child.says("closed");
  await child.gone;
  return readFileSync(trace, "utf8").split("\n").flatMap(callOf);
}

function callOf(line: string): Call[] {
  if (/\bf(?:data)?sync\(\d+<[^>]*log\.db-wal>/.test(line)) return [{ call: "sync", text: "" }];
  const said = /\bwrite\(1<[^>]*>, "(.*)\\n"/.exec(line)?.[1];
  return said === undefined ? [] : [{ call: "say", text: said }];
}

/** How often the log was synced between each line of this word and the one before. */
function syncsBefore(calls: readonly Call[], word: string): number[] {
  const counts: number[] = [];
  let syncs = 0;
  for (const { call, text } of calls) {
    if (call === "sync") syncs++;
    else if (text.startsWith(word)) {
      counts.push(syncs);
      syncs = 0;
    }
  }
  return counts;
}

describe("a disk that cannot be trusted", () => {
  itNeeds(strace)(
    "leaves the outcome unknown after a failed fsync, and whatever was acknowledged is there",
    async () => {
      const folder = temporaryFolder();
      const failing = ["-e", "inject=fsync,fdatasync:error=EIO:when=30+"];
      const child = runScript(
        "append-child.ts",
        [folder, "fill"],
        ["strace", "-f", ...failing, "-o", "/dev/null"],
      );
      await child.says("fault");
      expect(await child.says("failed")).toBe("failed outcome_unknown");
      child.tell("fill");
      expect(await child.says("failed")).toBe("failed outcome_unknown");
      child.tell("end");
      await child.says("closed");
      const acknowledged = child.lines.filter((line) => line.startsWith("recorded"));
      expect(acknowledged.length).toBeGreaterThan(5);
      const store = openSqliteEventStore(folder);
      onTestFinished(() => store.close());
      const ids = (await Array.fromAsync(store.readAll(0n))).map(({ id }) => `recorded ${id}`);
      expect(ids.slice(0, acknowledged.length)).toEqual(acknowledged);
      expect(ids.length).toBeLessThanOrEqual(acknowledged.length + 1);
    },
  );
});

describe("an append that is acknowledged", () => {
  itNeeds(strace)("is on the disk before", async () => {
    const calls = await traced("one-by-one");
    const counts = syncsBefore(calls, "recorded");
    expect(counts).toHaveLength(10);
    expect(counts.every((syncs) => syncs >= 1)).toBe(true);
  });

  itNeeds(strace)("shares its one fsync with its group", async () => {
    const calls = await traced("together");
    const rounds = syncsBefore(calls, "acknowledged");
    expect(rounds).toHaveLength(5);
    expect(rounds.every((syncs) => syncs >= 1)).toBe(true);
    const groups = syncsBefore(calls, "group");
    expect(groups.length).toBeGreaterThanOrEqual(5);
    expect(groups.length).toBeLessThan(40);
    // The first commit also syncs the header of the file that it begins.
    expect(groups.slice(1)).toEqual(groups.slice(1).map(() => 1));
  });
});
