import { describe, expect, it } from "vitest";
import { type Book, openBook } from "../demo/book.ts";
import type { Delivery, Event, Gathered, Run } from "../demo/gather.ts";
import { prove } from "../demo/prove.ts";
import { claims, table } from "../demo/report.ts";
import { show } from "../demo/show.ts";

const event = (stream: string, revision: number, type: string, actor = "api_key"): Event => ({
  id: `evt_${stream}_${revision}`,
  stream,
  type,
  revision,
  position: `${revision + 1}`,
  data: {},
  meta: { actor: { type: actor, id: "a" }, at: "2026-01-01T00:00:00.000Z" },
  hash: `hash of ${stream} ${revision}`,
});
const run = (id: string, more: Partial<Run>): Run => ({
  id,
  workflow: "notify",
  status: "completed",
  revision: 1,
  errorCount: 0,
  attempt: 1,
  durationMs: 5,
  parentId: "run_parent",
  ...more,
});
const delivered = ({ id, stream, type }: Event): Delivery => ({
  id: `delivery of ${id}`,
  runId: stream,
  event: { id, type },
  status: "delivered",
  attempts: [{ attempt: 1, at: "2026-01-01T00:00:00.000Z", outcome: "delivered", httpStatus: 204 }],
});

/** A story in which everything went well: each run was created and ended. */
function goodStory(): { gathered: Gathered; book: Book } {
  const runs = [
    run("run_check", { workflow: "release-check", parentId: null, errorCount: 2, attempt: 3 }),
    run("run_parent", {
      parentId: null,
      status: "failed",
      recipientRuns: { total: 5, byStatus: { completed: 4, failed: 1 }, withErrors: 2 },
    }),
    ...["ada", "ben", "dev"].map((recipient) => run(`run_${recipient}`, { recipient })),
    run("run_chloe", { recipient: "chloe", errorCount: 2, attempt: 3 }),
    run("run_eve", { recipient: "eve", status: "failed", errorCount: 4, attempt: 3 }),
  ];
  const book = openBook(
    () => {},
    () => {},
  );
  const events = runs.flatMap(({ id, status }) => {
    const end = event(id, 1, `run.${status}`, id === "run_parent" ? "system" : "api_key");
    book.take({ kind: "created", workflow: "any", runId: id, recipientRuns: [] });
    if (id !== "run_parent") book.take({ kind: "acknowledged", runId: id, ...end });
    const { type, hash } = end;
    const about = { runId: id, type, verified: true, sha256: "b0d7", event: end.id, hash, again: false };
    book.take({ kind: "received", id: `delivery of ${end.id}`, ...about });
    return [event(id, 0, "run.created"), end];
  });
  book.take({ kind: "done", retried: 3, replayed: 1 });
  const deliveries = events.filter(({ revision }) => revision === 1).map(delivered);
  return { gathered: { events, runs, viewPosition: "2", deliveries }, book };
}

const fine = { openAtKill: 3, exitCode: 0 };
const failures = ({ gathered, book }: ReturnType<typeof goodStory>, circumstances = fine): string[] =>
  prove(gathered, book, circumstances)
    .filter(({ ok }) => !ok)
    .map(({ text }) => text.replace(/\d+/g, "N"));

describe("the demo's proof", () => {
  it("holds when everything went well", () => expect(failures(goodStory())).toEqual([]));

  it("fails when an acknowledged event is not in the log", () => {
    const story = goodStory();
    story.gathered.events = story.gathered.events.filter(({ id }) => id !== "evt_run_ada_0");
    expect(failures(story).join()).toContain("acknowledged: N events, of which N are in the log");
  });

  it("fails when the log has what nobody recorded", () => {
    const story = goodStory();
    story.gathered.events.push(event("run_ada", 2, "run.noted"));
    expect(failures(story).join()).toContain("of the ledger itself");
  });

  it("fails when a view has not seen an event, or counts wrong", () => {
    const story = goodStory();
    const [first] = story.gathered.runs;
    if (first) first.revision = 0;
    expect(failures(story)).toEqual(["projected: N of N runs have as many events as their views have seen"]);
    const other = goodStory();
    other.gathered.runs = other.gathered.runs.map((one) => ({ ...one, errorCount: 0 }));
    expect(failures(other)).toEqual(["statuses, error counts and attempts are those that really happened"]);
  });

  it("fails when something owed did not arrive, or its body vouches for another hash", () => {
    const story = goodStory();
    const [delivery] = story.gathered.deliveries;
    if (delivery) delivery.status = "retrying";
    expect(failures(story).join()).toContain("owed:");
    const other = goodStory();
    other.gathered.events = other.gathered.events.map((one) => ({ ...one, hash: "another" }));
    expect(failures(other).join()).toContain("owed:");
  });

  it("fails when a signature is wrong, the bytes differ, or something came twice without a reason", () => {
    const received = {
      id: "delivery of evt_run_ada_1",
      runId: "run_ada",
      type: "run.completed",
      verified: false,
      sha256: "0the",
      event: "",
      hash: "",
      again: true,
    };
    const story = goodStory();
    story.book.take({ kind: "received", ...received });
    expect(failures(story)).toHaveLength(3);
  });

  it("lets a delivery come twice where the outcome of an attempt is unknown", () => {
    const story = goodStory();
    const [delivery] = story.gathered.deliveries;
    const [first] = story.book.received;
    if (!delivery || !first) throw new Error("the story has no delivery");
    delivery.attempts.unshift({ attempt: 1, at: "", outcome: "unknown", httpStatus: null });
    story.book.take({ kind: "received", ...first, again: true });
    expect(failures(story)).toEqual([]);
  });

  it("fails when the kill came too late, or the server did not end well", () => {
    expect(failures(goodStory(), { openAtKill: 0, exitCode: 0 })).toHaveLength(1);
    expect(failures(goodStory(), { openAtKill: 1, exitCode: 1 })).toHaveLength(1);
  });
});

describe("the demo's report", () => {
  it("aligns columns, and says what is not there with a dash", () => {
    expect(
      table("Runs", [
        ["run", "errors"],
        ["a long name", null],
        ["b", 2],
      ]),
    ).toBe("\nRuns\n  run          errors\n  a long name  -\n  b            2\n");
  });

  it("marks what is not true", () => {
    expect(
      claims("Proof", [
        { ok: true, text: "this" },
        { ok: false, text: "that" },
      ]),
    ).toBe("\nProof\n  ok      this\n  FAILED  that\n");
  });

  it("shows runs, steps, recipient runs and deliveries", () => {
    const shown = show(goodStory().gathered);
    for (const title of ["Runs", "Steps", "Recipient runs", "Deliveries"])
      expect(shown).toContain(`\n${title}`);
    expect(shown).toContain("4 completed, 1 failed; 2 with errors");
  });
});

describe("the demo's book", () => {
  it("tells at once when what was waited for is told", async () => {
    const said: string[] = [];
    const book = openBook(
      (text) => said.push(text),
      () => {},
    );
    const told = book.until(({ receiverUrl }) => receiverUrl !== undefined);
    book.take({ kind: "said", text: "hello" });
    book.take({ kind: "listening", url: "http://127.0.0.1:1/hooks" });
    await told;
    expect(said).toEqual(["hello"]);
  });

  it("takes a creation for the acknowledgement of every run's first event", () => {
    const { book } = goodStory();
    const before = book.acknowledged.length;
    book.take({
      kind: "created",
      workflow: "w",
      runId: "run_1",
      recipientRuns: [{ id: "run_2", recipient: "ada" }],
    });
    expect(book.acknowledged.slice(before).map(({ runId }) => runId)).toEqual(["run_1", "run_2"]);
  });
});
