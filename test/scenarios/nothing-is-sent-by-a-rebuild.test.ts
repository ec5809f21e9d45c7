import { describe, expect, it } from "vitest";
import { cell } from "../support/cell.ts";
import type { DeliveryJson, EndpointMade, Page, RunJson } from "../support/client.ts";
import { holdViews } from "../support/held-views.ts";
import { openTestServer, untilReady } from "../support/open-server.ts";
import { openReceiver } from "../support/receiver.ts";
import { openRows, removeViews } from "../support/views.ts";

const RUNS = 20;

/** A stopped server whose runs have ended, whose endpoint has heard of it, and whose views are gone. */
async function withoutViews() {
  const [server, receiver] = [await openTestServer(), await openReceiver()];
  await server.post<EndpointMade>("/v1/webhook-endpoints", { url: receiver.url });
  for (let run = 0; run < RUNS; run++) {
    const { body } = await server.create({});
    await server.record(body.run.id, ["run.started", "run.completed"]);
  }
  const { body: open } = await server.create({ recipients: ["ada", "ben"] });
  const responded = await server.untilEvents("&type=delivery.responded", ({ length }) => length === RUNS);
  const made = await server.untilEvents("&type=run.created", ({ length }) => length === RUNS + 3);
  const positions = [responded, made].map((events) => Number(events.at(-1)?.position));
  const query = `?minPosition=${Math.max(...positions)}`;
  const before = {
    runs: (await server.get(`/v1/runs${query}`)).text,
    deliveries: (await server.get(`/v1/deliveries${query}`)).text,
  };
  await server.close();
  await removeViews(server.folder);
  return { folder: server.folder, key: server.key, receiver, before, open: open.run.id };
}

const itemsIn = (text: string) => (JSON.parse(text) as Page<object>).items;

describe("views that were removed", () => {
  it("are built again, row by row the same, and nobody hears of anything again", async () => {
    const { folder, key, receiver, before, open } = await withoutViews();
    const server = await openTestServer({ folder, key });
    expect(itemsIn((await server.get("/v1/runs")).text)).toEqual(itemsIn(before.runs));
    expect(itemsIn((await server.get("/v1/deliveries")).text)).toEqual(itemsIn(before.deliveries));

    // What ends now is heard of, after all that a rebuild might have sent.
    const { body: parent } = await server.get<Page<RunJson>>(`/v1/runs/${open}/recipient-runs`);
    for (const { id } of parent.items) await server.record(id, ["run.started", "run.completed"]);
    const heard = await receiver.until(RUNS + 1);
    expect(heard.at(-1)?.body.data.run.id).toBe(open);
    const { body } = await server.get<Page<DeliveryJson>>(
      `/v1/deliveries?minPosition=${heard.at(-1)?.headers["ledger-position"]}`,
    );
    expect(body.items).toHaveLength(RUNS + 1);
    expect(receiver.received).toHaveLength(RUNS + 1);
    const attempts = await server.events("&type=delivery.attempted");
    expect(new Set(attempts.map(({ stream }) => stream)).size).toBe(attempts.length);
  });

  it("answer no list until they are there; writes, webhooks and single runs go on meanwhile", async () => {
    const { folder, key, receiver, before, open } = await withoutViews();
    await openRows(folder); // Their file is there, and nothing in it.
    const held = await holdViews(folder);
    const server = await openTestServer({ folder, key, untilReady: false });
    for (const list of [
      "runs",
      "recipient-runs",
      "deliveries",
      "webhook-endpoints",
      "keys",
      `runs/${open}/steps`,
    ]) {
      const refused = await server.get(`/v1/${list}`);
      expect(refused, list).toMatchObject({ status: 503, body: { code: "views_rebuilding" } });
      expect(refused.headers.get("retry-after")).toMatch(/^\d+$/);
    }
    expect(await server.get("/readyz")).toMatchObject({ status: 503, body: { code: "views_rebuilding" } });
    expect((await server.get("/healthz")).status).toBe(200);
    expect(await server.run(open)).toMatchObject({ status: 200, body: { id: open, recipientCount: 2 } });
    expect((await server.run("run_01h455vb4pex5vsknk084sn02q")).status).toBe(404);
    expect((await server.get(`/v1/runs/${open}/events`)).status).toBe(200);

    const { body } = await server.create({});
    await server.record(body.run.id, ["run.started", "run.completed"]);
    expect((await server.run(body.run.id)).body).toMatchObject({ status: "completed", revision: 2 });
    const heard = await receiver.until(RUNS + 1);
    expect(heard.at(-1)?.body.data.run.id).toBe(body.run.id);

    await held.release();
    await untilReady(server.url);
    const { text } = await server.get(`/v1/runs?minPosition=${heard.at(-1)?.headers["ledger-position"]}`);
    expect(itemsIn(text).slice(1)).toEqual(itemsIn(before.runs));
    expect(receiver.received).toHaveLength(RUNS + 1);
    // A file that is locked is given up and tried again; a table that is locked is waited for.
    if (!cell.postgres)
      expect((await server.get("/metrics")).text).toMatch(
        /^runledger_follower_restarts_total\{follower="projector"\} [1-9]/m,
      );
  }, 30_000);
});
