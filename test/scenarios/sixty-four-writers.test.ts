import { describe, expect, it } from "vitest";
import { openTestServer } from "../support/open-server.ts";

const WRITERS = 64;
const writers = Array.from({ length: WRITERS }, (_, index) => index);

describe("64 writers on one run", () => {
  it("end it exactly once, whoever was first", async () => {
    const server = await openTestServer();
    const { body } = await server.create({});
    await server.record(body.run.id, "run.started");
    const ends = ["run.completed", "run.failed", "run.cancelled", "run.timed_out"];
    const replies = await Promise.all(
      writers.map((index) => server.record(body.run.id, ends[index % ends.length] ?? "", `writer-${index}`)),
    );
    const recorded = replies.filter(({ status }) => status === 201);
    const refused = replies.filter(({ status }) => status === 409);
    expect([recorded.length, refused.length]).toEqual([1, WRITERS - 1]);
    for (const { body: problem } of refused)
      expect(problem).toMatchObject({ code: "transition_not_allowed" });
    const events = await server.events();
    expect(events.map(({ revision }) => revision)).toEqual([0, 1, 2]);
    expect(events.at(-1)?.id).toBe(recorded[0]?.body.events[0]?.id);
  });

  it("record all of what they report, 50 times each, and nobody is sent away", async () => {
    const server = await openTestServer();
    const { body } = await server.create({});
    await server.record(body.run.id, "run.started");
    const statuses = new Map<number, number>();
    const told = new Set<string>();
    await Promise.all(
      writers.map(async (writer) => {
        for (let report = 0; report < 50; report++) {
          const data = { percent: report, stateName: `${writer}` };
          const { status, body: answer } = await server.record(body.run.id, { type: "run.progressed", data });
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
          for (const { id, revision } of answer.events ?? []) told.add(`${revision} ${id}`);
        }
      }),
    );
    expect([...statuses]).toEqual([[201, WRITERS * 50]]);
    const events = (await server.events()).slice(2);
    expect(events.map(({ revision }) => revision)).toEqual(events.map((_, index) => index + 2));
    expect(new Set(events.map(({ revision, id }) => `${revision} ${id}`))).toEqual(told);
    for (const writer of writers) {
      const own = events.filter(({ data }) => data.stateName === `${writer}`).map(({ data }) => data.percent);
      expect(own).toEqual(Array.from({ length: 50 }, (_, report) => report));
    }
    const { body: shown } = await server.run(body.run.id, events.at(-1)?.position);
    expect(shown).toMatchObject({ status: "running", revision: 1 + WRITERS * 50 });
  }, 60_000);
});
