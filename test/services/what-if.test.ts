import { describe, expect, it } from "vitest";
import { deliveryId } from "../../projections/deliveries/deliveries.ts";
import type { Proposed } from "../../shared/domain/event.ts";
import { streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import { command, created, did, openTestLedger } from "../support/open-ledger.ts";
import { runProgram } from "../support/run-program.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/** A log in which an endpoint that was down for a minute was sent two deliveries. */
async function recordedOutage() {
  let nowMs = Date.UTC(2026, 0, 1);
  const folder = temporaryFolder();
  const { ledger } = await openTestLedger({ folder, now: () => nowMs });
  const config = {
    types: ["run.*"],
    recipientRuns: false,
    bodyVersion: 1,
    status: "enabled",
    secretKeyIds: ["key_1"],
    scheduleMs: [0, 10_000, 60_000],
  };
  const { stream: endpoint } = await ledger.create(
    "endpoint",
    command(did("endpoint.created", config, { url: "http://127.0.0.1:9/" })),
  );
  const ids = { endpoint: wireIdOf(endpoint) };
  for (let run = 0; run < 2; run++) {
    const { stream } = await ledger.create("run", command(created()));
    const ended = await ledger.record(stream, command([did("run.started"), did("run.completed")]));
    const event = ended.events[1];
    if (!event) throw new Error("nothing was recorded");
    const delivery = streamOf(deliveryId(ledger.id, "default", endpoint, event.id));
    const record = (proposed: Proposed) => ledger.record(delivery, command(proposed), { isNew: true });
    for (const [index, pauseMs] of config.scheduleMs.entries()) {
      nowMs += pauseMs;
      const attempt = index + 1;
      const bodySha256 = "0".repeat(64);
      const attempted = { ...ids, endpointRevision: 0, event: event.id, attempt, scheduleStep: index };
      await record(did("delivery.attempted", { ...attempted, bodySha256, secretKeyIds: ["key_1"] }));
      const isUp = nowMs >= Date.UTC(2026, 0, 1) + 60_000;
      const outcome = isUp ? "delivered" : "http_error";
      await record(
        did("delivery.responded", { ...ids, attempt, outcome, httpStatus: isUp ? 200 : 503, durationMs: 1 }),
      );
      if (isUp) break;
    }
  }
  return { folder, id: ids.endpoint };
}

const ask = (data: string, ...args: string[]) => runProgram("services/what-if.ts", { data, args });

describe("npm run what-if", () => {
  it("tells what another schedule would have come to, beside what was recorded", async () => {
    const { folder, id } = await recordedOutage();
    const { code, out, err } = await ask(folder, "--endpoint", id, "--schedule", "0,30s,40s", "--each");
    expect([code, err]).toEqual([0, expect.stringContaining("as it did the last time before")]);
    const lines = out.trim().split("\n");
    const each = "delivered after 3 in 70 s";
    expect(lines[0]?.replace(/^delivery_\w{26}/, "it")).toBe(`it; recorded ${each}; A ${each}; B ${each}`);
    expect(lines.slice(2)).toEqual([
      "2 deliveries, 4 answers",
      "recorded     4 attempts, 2 delivered, 0 exhausted, 0 open, median 0 s, p99 70 s",
      "A, reckoned  4 attempts, 2 delivered, 0 exhausted, 0 open, median 0 s, p99 70 s",
      "B, reckoned  4 attempts, 2 delivered, 0 exhausted, 0 open, median 0 s, p99 70 s",
    ]);
    const short = await ask(temporaryFolder(), "--folder", folder, "--endpoint", id, "--schedule", "0,5s");
    expect(short.out).toContain(
      "B, reckoned  3 attempts, 1 delivered, 1 exhausted, 0 open, median 0 s, p99 0 s",
    );
  });

  it("refuses what it cannot reckon, in one line", async () => {
    const { folder, id } = await recordedOutage();
    const unknown = id.replace(/.$/, id.endsWith("0") ? "1" : "0");
    const nobody = await ask(folder, "--endpoint", unknown, "--schedule", "0");
    expect([nobody.code, nobody.err]).toEqual([1, `the log has no endpoint ${unknown}\n`]);
    for (const args of [
      [],
      ["--endpoint", id],
      ["--endpoint", id, "--schedule", "soon"],
      ["--endpoint", "run_1", "--schedule", "0"],
      ["--endpoint", id, "--schedule", "0", "--attempts-max", "0"],
      ["--endpoint", id, "--schedule", "0", "--colour", "red"],
    ]) {
      const { code, err } = await ask(folder, ...args);
      expect([code, err]).toEqual([1, expect.stringMatching(/^usage: npm run what-if [^\n]*\n$/)]);
    }
    const empty = await ask(temporaryFolder(), "--endpoint", id, "--schedule", "0");
    expect(empty.code).toBe(1);
  });
});
