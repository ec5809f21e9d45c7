import { describe, expect, it } from "vitest";
import type { Run } from "../../shared/domain/run/run.ts";
import { aggregates } from "../../shared/ledger/aggregates.ts";
import type { Aggregate } from "../../shared/ledger/fold.ts";
import { createChildren } from "../../shared/ledger/recipients.ts";
import { command, created, did, openTestLedger } from "../support/open-ledger.ts";
import { onLog } from "../support/tampered-log.ts";

/** Takes the content of every event away, as erasing does. */
const eraseAll = (folder: string) =>
  onLog(folder, (db) =>
    db.exec(`INSERT INTO erasures
      SELECT position, 'asked for', '2026-08-15T10:00:00.000Z' FROM events WHERE content IS NOT NULL;
      UPDATE events SET content = NULL, content_salt = NULL WHERE content IS NOT NULL`),
  );

/** A run that has been through everything that can have content. */
async function eventfulRun() {
  const { ledger, store, folder } = await openTestLedger();
  const { stream } = await ledger.create(
    "run",
    command(created({}, { input: { name: "Ada" } }), { commandId: "make" }),
  );
  const happened = [
    did("run.started"),
    did("step.started", { stepRef: "s" }, { arguments: [1] }),
    did("step.failed", { stepRef: "s" }, { error: { message: "no" } }),
    did("run.noted", { name: "n", outcome: "error" }, { detail: "d", error: { message: "no" } }),
    did("run.awaiting_input", {}, { prompt: "Which?" }),
  ];
  const { events } = await ledger.record(stream, command(happened, { commandId: "work" }));
  const waitId = events.at(-1)?.data.waitId;
  const answer = did("run.input_given", { waitId }, { input: "that one" });
  await ledger.record(stream, command(answer, { commandId: "answer" }));
  await ledger.record(stream, command(did("run.paused", {}, { note: "for lunch" })));
  return { ledger, store, folder, stream, waitId: String(waitId), answer, happened };
}

describe("erasing content", () => {
  it("changes nothing that a stream is folded into", async () => {
    const { ledger, store, folder, stream } = await eventfulRun();
    const before = await ledger.get<Run>(stream, "default");
    eraseAll(folder);
    const erased = await Array.fromAsync(store.read(stream));
    expect(erased.every(({ content }) => content === undefined)).toBe(true);
    const { ledger: fresh } = await openTestLedger({ store });
    const after = await fresh.get<Run>(stream, "default");
    expect(after.state).toEqual(before.state);
    expect(after).toEqual(before);
    expect(after.state.status).toBe("paused");
  });

  it("changes nothing that is decided afterwards", async () => {
    const { store, folder, stream, answer } = await eventfulRun();
    eraseAll(folder);
    const { ledger } = await openTestLedger({ store });
    await ledger.record(stream, command(did("run.resumed")));
    await expect(ledger.record(stream, command(answer))).rejects.toMatchObject({ code: "wait_resolved" });
    const { events } = await ledger.record(stream, command(did("step.started", { stepRef: "s" })));
    expect(events[0]?.data.attempt).toBe(2);
  });

  it("leaves a replay that nobody can compare, which says so", async () => {
    const { ledger, store, folder, stream, answer, happened } = await eventfulRun();
    const first = await ledger.record(stream, command(happened, { commandId: "work" }));
    expect(first.replayed).toBe(true);
    eraseAll(folder);
    const head = await store.head();
    for (const each of [ledger, (await openTestLedger({ store })).ledger]) {
      const again = await each.record(stream, command(happened, { commandId: "work" }));
      expect(again.replayed).toBe("unverified");
      expect(again.events.map(({ id }) => id)).toEqual(first.events.map(({ id }) => id));
      // What had no content can be compared as ever.
      expect(again.outcomes[0]?.outcome).toBe("replayed");
      const other = did("run.input_given", answer.data, { input: "another" });
      expect((await each.record(stream, command(other, { commandId: "answer" }))).replayed).toBe(
        "unverified",
      );
      const made = await each.create("run", command(created({}, { input: 7 }), { commandId: "make" }));
      expect(made.replayed).toBe("unverified");
    }
    expect(await store.head()).toBe(head);
  });

  it("of a parent lets its missing children be made without content", async () => {
    const { ledger, store, folder } = await openTestLedger();
    const { stream } = await ledger.create("run", command(created({}, { recipients: ["ada", "grace"] })));
    eraseAll(folder);
    const [parent] = await Array.fromAsync(store.read(stream));
    if (!parent) throw new Error("there is no parent");
    const children = await createChildren(ledger, parent);
    expect(children.map(({ data }) => data.recipientIndex)).toEqual([0, 1]);
    expect(children.every(({ content }) => content === undefined)).toBe(true);
  });
});

describe("folding", () => {
  it("is never shown content", async () => {
    const seen = new Set<string>();
    const run = aggregates.run as Aggregate;
    const watched: Aggregate = {
      ...run,
      evolve(state, event) {
        for (const name of Object.keys(event)) seen.add(name);
        return run.evolve(state, event);
      },
    };
    const { ledger, store } = await openTestLedger({ aggregates: { ...aggregates, run: watched } });
    const { stream } = await ledger.create("run", command(created({}, { input: 1 })));
    await ledger.record(stream, command(did("run.started")));
    const { ledger: fresh } = await openTestLedger({ store, aggregates: { ...aggregates, run: watched } });
    await fresh.get(stream, "default");
    await fresh.stateAt(stream, 1);
    expect([...seen].sort()).toEqual(["at", "data", "type"]);
  });
});
