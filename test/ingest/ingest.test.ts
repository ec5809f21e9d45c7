import { describe, expect, it, vi } from "vitest";
import { openIngest } from "../../services/ingest/ingest.ts";
import { entryOf, parseItem, recordRun } from "../../shared/intake/entries.ts";
import { ensureWorkspace } from "../../shared/ledger/keys.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { openRefusals } from "../../shared/ledger/refusals.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import { openTopics, startIngest } from "../support/ingest-topics.ts";
import { creates, ingestLimits, readerOf, reports, sent } from "../support/ingesting.ts";
import { caller, openTestLedger } from "../support/open-ledger.ts";

/** A ledger with its workspace, whose refusals are recorded too. */
async function openIngestLedger() {
  const refusals = openRefusals({
    ledger: (): Ledger => opened.ledger,
    salt: Buffer.alloc(16),
    now: Date.now,
    onFault: (error) => {
      throw error;
    },
  });
  const opened = await openTestLedger({ onRefusal: refusals.note });
  await ensureWorkspace(opened.ledger, { ...caller, workspace: "default" });
  return { ...opened, refusals };
}

/** What the log has, in order. */
async function logOf({ store }: Ledger) {
  const events: { type: string; actor: string; id: string; data: unknown }[] = [];
  for await (const { type, meta, id, data } of store.readAll(0n)) {
    events.push({ type, actor: `${meta.actor.type} ${meta.actor.id}`, id, data });
  }
  return events;
}

describe("the ingress from Kafka", () => {
  it("creates and reports in one go, and a retry through the other door is a replay", async () => {
    const [{ ledger }, topics] = await Promise.all([openIngestLedger(), openTopics({ partitions: 3 })]);
    const ingest = startIngest(ledger, topics);
    await topics.send([
      creates("run-1"),
      reports("run-1/started", "run-1", "run.started"),
      reports("run-1/completed", "run-1", "run.completed", { output: { sent: 2 } }),
    ]);
    await ingest.settled(3);
    expect(ingest.counts()).toEqual({ recorded: 3 });
    const head = await ledger.store.head();
    const { topic } = ingest.told[0]?.message ?? {};
    expect((await logOf(ledger)).slice(-3).map(({ type, actor }) => [type, actor])).toEqual([
      ["run.created", `kafka ${topic}`],
      ["run.started", `kafka ${topic}`],
      ["run.completed", `kafka ${topic}`],
    ]);

    const items = [
      { type: "run.created", id: "run-1", data: { workflow: "welcome" } },
      { type: "run.started", id: "run-1/started", runKey: "run-1" },
      { type: "run.completed", id: "run-1/completed", runKey: "run-1", data: { output: { sent: 2 } } },
    ];
    const entries = items.map((item) => entryOf(readerOf(ledger), parseItem(item)));
    const outcomes: unknown[] = [];
    await recordRun({ ledger, caller }, entries, (_, taken) =>
      outcomes.push("outcome" in taken && taken.outcome),
    );
    expect(outcomes).toEqual(["replayed", "replayed", "replayed"]);
    expect(await ledger.store.head()).toBe(head);
  });

  it("tells of what it refused and parks what it cannot read, before it goes on", async () => {
    const [{ ledger, refusals }, topics] = await Promise.all([openIngestLedger(), openTopics()]);
    const ingest = startIngest(ledger, topics, { limits: { ...ingestLimits, bodyBytesMax: 2000 } });
    const poison = Buffer.from([0xff, 0, 0x7b]);
    await topics.send([
      creates("a"),
      { key: "a", value: poison, headers: { "command-id": "p", colour: "blue" } },
      { ...creates("b"), headers: {} },
      reports("a-1", "a", "run.completed"),
      sent("c", { type: "run.started", runKey: "nobody" }),
      sent("d", { type: "run.started", runKey: "a", data: { surprise: 1 } }),
      creates("big", { input: "x".repeat(3000) }),
      { key: null, value: null, headers: { "command-id": "none" } },
    ]);
    await ingest.settled(8);
    expect(ingest.counts()).toEqual({
      recorded: 1,
      malformed_json: 2,
      invalid_command_id: 1,
      transition_not_allowed: 1,
      not_found: 1,
      invalid_body: 1,
      body_too_large: 1,
    });
    await vi.waitFor(() => expect(ingest.lag()).toBe(0));
    const told = await topics.read(topics.config.topics.refusals);
    expect(told.map(({ value, headers }) => [JSON.parse(`${value}`).code, headers["origin-offset"]])).toEqual(
      [
        ["invalid_command_id", "2"],
        ["transition_not_allowed", "3"],
        ["not_found", "4"],
        ["invalid_body", "5"],
      ],
    );
    expect(JSON.parse(`${told[3]?.value}`).errors[0].pointer).toBe("/data/surprise");
    expect(told[1]?.headers).toMatchObject({
      "command-id": "a-1",
      "origin-key": "a",
      "origin-partition": "0",
    });
    const parked = await topics.read(topics.config.topics.parked);
    expect(parked.map(({ headers }) => headers["parked-code"])).toEqual([
      "malformed_json",
      "body_too_large",
      "malformed_json",
    ]);
    expect(parked[0]).toMatchObject({ key: Buffer.from("a"), value: poison });
    expect(parked[0]?.headers).toMatchObject({ "command-id": "p", colour: "blue", "origin-offset": "1" });
    expect(parked[2]).toMatchObject({ key: null, value: null });
    // What the domain refused is in the log as well.
    await refusals.settled();
    expect((await logOf(ledger)).filter(({ type }) => type === "refusal.recorded")).toMatchObject([
      { actor: `kafka ${topics.config.topics.commands}`, data: { code: "transition_not_allowed" } },
    ]);
    const [{ partitions } = { partitions: [] }] = await topics.admin.fetchOffsets({
      groupId: topics.config.group,
      topics: [topics.config.topics.commands],
    });
    expect(partitions).toMatchObject([{ partition: 0, offset: "8" }]);
  });

  it("records exactly the good of 10,000 messages, once, and nothing when all are read again", async () => {
    const [{ ledger, refusals }, topics] = await Promise.all([
      openIngestLedger(),
      openTopics({ partitions: 4 }),
    ]);
    const all = Array.from({ length: 1000 }, (_, run) => [
      creates(`r${run}`),
      reports(`r${run}-s`, `r${run}`, "run.started"),
      creates(`r${run}`),
      sent(`r${run}-bad`, run % 2 ? "{" : { type: "run.unheard_of", runKey: `r${run}` }),
      reports(`r${run}-n`, `r${run}`, "run.noted", { name: "a", outcome: "ok" }),
      reports(`r${run}-s`, `r${run}`, "run.started"),
      // Never allowed, whatever the run is by then.
      reports(`r${run}-x`, `r${run}`, "run.resumed"),
      reports(`r${run}-n`, `r${run}`, "run.noted", { name: "a", outcome: run % 2 ? "ok" : "error" }),
      reports(`r${run}-c`, `r${run}`, "run.completed"),
      reports(`r${run}-c`, `r${run}`, "run.completed"),
    ]).flat();
    const first = startIngest(ledger, topics);
    for (let from = 0; from < all.length; from += 1000) await topics.send(all.slice(from, from + 1000));
    await first.settled(10_000);
    await first.stop();
    expect(first.counts()).toEqual({
      recorded: 4000,
      replayed: 3500,
      idempotency_conflict: 500,
      malformed_json: 500,
      invalid_body: 500,
      transition_not_allowed: 1000,
    });
    await refusals.settled();
    const before = await logOf(ledger);
    expect(before.filter(({ type }) => type.startsWith("run."))).toHaveLength(4000);
    expect(new Set(before.map(({ id }) => id)).size).toBe(before.length);

    const { group: groupId, topics: names } = topics.config;
    await topics.admin.resetOffsets({ groupId, topic: names.commands, earliest: true });
    const again = startIngest(ledger, topics);
    await again.settled(10_000);
    expect(again.counts()).toEqual({ ...first.counts(), recorded: undefined, replayed: 7500 });
    await refusals.settled();
    expect(await logOf(ledger)).toEqual(before);
  }, 60_000);

  it("says that there is no such workspace, and takes nothing", async () => {
    const [{ ledger }, topics] = await Promise.all([openIngestLedger(), openTopics()]);
    const config = { ...topics.config, workspace: "elsewhere" };
    const kafka = topics.client;
    const log = { info() {}, error() {} };
    const ingest = openIngest({ ledger, kafka, config, limits: ingestLimits, clock: systemClock, log });
    const { signal } = new AbortController();
    await expect(ingest.run(signal)).rejects.toThrow("there is no workspace elsewhere");
  });
});
