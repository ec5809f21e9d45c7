import { describe, expect, it } from "vitest";
import type { Page, RunJson } from "../support/client.ts";
import { holdViews } from "../support/held-views.ts";
import { openTestServer } from "../support/open-server.ts";

describe("who has written", () => {
  it("reads it, in every list and by its id, with the position that was answered", async () => {
    const server = await openTestServer();
    for (let round = 0; round < 50; round++) {
      const { body, headers } = await server.create({ recipients: ["ada"] });
      const position = headers.get("ledger-position") ?? "";
      expect(position).toBe(body.position);
      const ask = { headers: { "Ledger-Min-Position": position } };
      const { body: list } = await server.get<Page<RunJson>>("/v1/runs?pageSize=1", ask);
      expect(list.items[0]?.id).toBe(body.run.id);
      expect(BigInt(list.position)).toBeGreaterThanOrEqual(BigInt(position));
      const children = await server.get<Page<RunJson>>(
        `/v1/runs/${body.run.id}/recipient-runs?minPosition=${position}`,
      );
      expect(children.body.items.map(({ id }) => id)).toEqual(body.recipientRuns.map(({ id }) => id));
      const child = body.recipientRuns[0]?.id ?? "";
      const step = { type: "step.started", data: { stepRef: "send" } };
      const recorded = await server.record(child, ["run.started", step]);
      const { body: steps } = await server.get<Page<{ stepRef: string }>>(
        `/v1/runs/${child}/steps?minPosition=${recorded.body.position}`,
      );
      expect(steps.items).toMatchObject([{ stepRef: "send", attempt: 1 }]);
      const revision = `"${recorded.body.events[1]?.revision}.`;
      const shown = await server.run(child, recorded.body.position);
      expect(shown.headers.get("etag")?.startsWith(revision)).toBe(true);
    }
  });

  it("is never told that a run is not there: a run without a row is waited for", async () => {
    const server = await openTestServer();
    const runs = await Promise.all(Array.from({ length: 50 }, () => server.create({})));
    const shown = await Promise.all(runs.map(({ body }) => server.run(body.run.id)));
    expect(new Set(shown.map(({ status }) => status))).toEqual(new Set([200]));
  });

  it("is told how far the views are where they do not come", async () => {
    const server = await openTestServer();
    const { body: first } = await server.create({});
    await server.run(first.run.id, first.position);
    const held = await holdViews(server.folder);
    const { body: second } = await server.create({});
    const refused = await Promise.all([
      server.get(`/v1/runs?minPosition=${second.position}`),
      server.get("/v1/deliveries", { headers: { "Ledger-Min-Position": second.position } }),
      server.run(first.run.id, second.position),
      server.run(second.run.id), // There, but without a row: not a 404.
      server.get(`/v1/runs/${second.run.id}/steps`),
    ]);
    for (const each of refused) {
      expect(each).toMatchObject({
        status: 503,
        body: { code: "projection_behind", wanted: second.position, have: first.position },
      });
      expect(each.headers.get("retry-after")).toMatch(/^\d+$/);
    }
    // Who asks for nothing in particular gets what there is.
    expect((await server.get<Page<RunJson>>("/v1/runs")).body).toMatchObject({
      items: [{ id: first.run.id }],
      position: first.position,
    });
    // What reads the log itself is never behind.
    for (const path of [`/v1/runs/${second.run.id}/events?`, `/v1/events?after=${first.position}&`]) {
      const events = await server.get(`${path}minPosition=${second.position}`);
      expect(events, path).toMatchObject({ status: 200, body: { items: [{ type: "run.created" }] } });
    }

    await held.release();
    expect(await server.run(second.run.id, second.position)).toMatchObject({
      status: 200,
      body: { id: second.run.id },
    });
  });

  it("has written nothing at a position that is none", async () => {
    const server = await openTestServer();
    for (const position of ["-1", "1.5", "x", "", "9223372036854775808"])
      expect(await server.get(`/v1/runs?minPosition=${position}`), position).toMatchObject({
        status: 400,
        body: { code: "invalid_query" },
      });
    expect(await server.get("/v1/runs", { headers: { "Ledger-Min-Position": "soon" } })).toMatchObject({
      status: 400,
      body: { code: "invalid_header" },
    });
  });
});
