import { describe, expect, it } from "vitest";
import type { EventJson, JsonBody } from "../../support/client.ts";
import { client } from "../../support/client.ts";
import { openTestServer, type TestServer } from "../../support/open-server.ts";
import { expectRefused } from "../../support/refusals.ts";

type Item = JsonBody & { index: number; outcome: string; runId: string };
type Batch = { items: Item[]; position: string };

const created = (id: string, data: object = {}) => ({
  type: "run.created",
  id,
  data: { workflow: "a", ...data },
});
const on = (runKey: string, type: string, more: object = {}) => ({ type, runKey, ...more });
const sent = ({ post }: TestServer, items: readonly object[]) => post<Batch>("/v1/events", items);
const outcomes = ({ items }: Batch) =>
  items.map(({ outcome, code }) => (code ? `${outcome} ${code}` : outcome));
const typesOf = async ({ get }: TestServer, runId: string) =>
  (await get<{ items: EventJson[] }>(`/v1/runs/${runId}/events`)).body.items.map(({ type }) => type);
const names = (count: number) => Array.from({ length: count }, (_, index) => `r${index}`);

describe("a batch", () => {
  it("creates runs and reports on them in one go, by the ids that created them", async () => {
    const server = await openTestServer();
    const items = [
      created("one"),
      created("two", { input: 2 }),
      on("one", "run.started"),
      on("two", "run.started"),
      on("one", "run.completed", { data: { output: 1 } }),
    ];
    const { status, body, headers } = await sent(server, items);
    expect([status, ...outcomes(body)]).toEqual([200, ...Array(5).fill("recorded")]);
    expect(body.items.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4]);
    const [one, two, started] = body.items;
    expect([one?.revision, started?.revision, started?.runId]).toEqual([0, 1, one?.runId]);
    expect((await server.run(one?.runId ?? "", body.position)).body).toMatchObject({
      status: "completed",
      output: 1,
    });
    expect((await server.run(two?.runId ?? "")).body).toMatchObject({ status: "running", input: 2 });
    expect(headers.get("ledger-position")).toBe(body.position);
    const last = (await server.events()).at(-1);
    expect(body.position).toBe(last?.position);
  });

  it("answers again what it recorded, item by item", async () => {
    const server = await openTestServer();
    const items = [created("one"), on("one", "run.started", { id: "s" })];
    const first = await sent(server, items);
    const again = await sent(server, [...items, on("one", "run.completed", { id: "c" })]);
    expect(outcomes(again.body)).toEqual(["replayed", "replayed", "recorded"]);
    const { index: _, outcome: __, ...kept } = first.body.items[1] ?? {};
    expect(again.body.items[1]).toMatchObject(kept);
    const conflict = await sent(server, [on("one", "run.failed", { id: "s" })]);
    expect(outcomes(conflict.body)).toEqual(["refused idempotency_conflict"]);
  });

  it("takes the items of one run in order, each on top of the earlier accepted ones", async () => {
    const server = await openTestServer();
    const items = [
      on("k", "run.started"),
      created("k"),
      on("k", "run.paused"),
      on("k", "run.started"),
      on("k", "run.paused"),
      on("k", "run.accepted"),
      on("k", "run.resumed"),
      on("k", "run.completed"),
      on("k", "run.started"),
    ];
    const { body } = await sent(server, items);
    expect(outcomes(body)).toEqual([
      "invalid not_found",
      "recorded",
      "refused transition_not_allowed",
      "recorded",
      "recorded",
      "refused transition_not_allowed",
      "recorded",
      "recorded",
      "refused transition_not_allowed",
    ]);
    expect(await typesOf(server, body.items[1]?.runId ?? "")).toEqual([
      "run.created",
      "run.started",
      "run.paused",
      "run.resumed",
      "run.completed",
    ]);
  });

  it("never lets a bad item fail the others", async () => {
    const server = await openTestServer();
    const { body: run } = await server.create({}, "known");
    const runId = run.run.id;
    const waitId = "wait_01h455vb4pex5vsknk084sn02q";
    const items: [object, string][] = [
      [on("known", "run.started"), "recorded"],
      [7 as unknown as object, "invalid invalid_body"],
      [{ type: "run.paused" }, "invalid invalid_body"],
      [{ type: "run.paused", runId, runKey: "known" }, "invalid invalid_body"],
      [on("known", "run.exploded"), "invalid invalid_body"],
      [on("known", "run.paused", { data: { reason: "A B" } }), "invalid invalid_body"],
      [on("known", "run.paused", { id: "a b" }), "invalid invalid_command_id"],
      [on("no such", "run.paused"), "invalid invalid_command_id"],
      [on("unknown", "run.paused"), "invalid not_found"],
      [on("known", "run.paused", { at: "2999-01-01T00:00:00Z" }), "invalid at_in_future"],
      [on("known", "run.completed", { data: { output: "x".repeat(256 * 1024) } }), "invalid event_too_large"],
      [on("known", "run.input_given", { data: { waitId, input: 1 } }), "refused transition_not_allowed"],
      [{ type: "run.created", data: { workflow: "a" } }, "invalid invalid_body"],
      [{ ...created("c"), runKey: "c" }, "invalid invalid_body"],
      [{ ...created("c"), runId }, "invalid invalid_body"],
      [created("d", { recipients: ["a", "a"] }), "invalid duplicate_recipients"],
      [created("e", { parentId: "run_01h455vb4pex5vsknk084sn02q" }), "invalid invalid_body"],
      [{ type: "run.paused", runId }, "recorded"],
    ];
    const { status, body } = await sent(
      server,
      items.map(([item]) => item),
    );
    expect(status).toBe(200);
    expect(outcomes(body)).toEqual(items.map(([, outcome]) => outcome));
    expect(body.items[4]).toMatchObject({
      errors: [{ pointer: "/type" }],
      detail: expect.stringContaining("exploded"),
    });
    expect(await typesOf(server, runId)).toEqual(["run.created", "run.started", "run.paused"]);
  });

  it("may have 1,000 recipients altogether; an item beyond that does not count", async () => {
    const server = await openTestServer();
    const { body } = await sent(server, [
      created("a", { recipients: names(600) }),
      created("b", { recipients: names(401) }),
      created("c", { recipients: names(400) }),
      created("d", { recipients: ["one more"] }),
      created("e"),
    ]);
    const invalid = "invalid invalid_body";
    expect(outcomes(body)).toEqual(["recorded", invalid, "recorded", invalid, "recorded"]);
    const children = await server.events("&type=run.created");
    expect(children).toHaveLength(600 + 400 + 3);
    expect(body.position).toBe(children.at(-1)?.position);
  });

  it("holds many items of one run, beyond what fits one append", async () => {
    const server = await openTestServer();
    const progress = names(250).map((id) => on("k", "run.progressed", { id }));
    const items = [created("k"), on("k", "run.started"), ...progress, on("k", "run.completed")];
    const { body } = await sent(server, items);
    expect(new Set(outcomes(body))).toEqual(new Set(["recorded"]));
    expect(body.items.map(({ revision }) => revision)).toEqual(items.map((_, index) => index));
    const large = { data: { name: "n", outcome: "ok", detail: "x".repeat(200_000) } };
    const notes = await sent(server, Array(8).fill(on("k", "run.noted", large)));
    expect(outcomes(notes.body)).toEqual(Array(8).fill("recorded"));
  });

  it("is refused as a whole when it cannot be read, and records nothing", async () => {
    const server = await openTestServer();
    const event = on("k", "run.started");
    await expectRefused(server, {
      "one item without an array": [() => server.post("/v1/events", event), "422 invalid_body ."],
      "no items": [() => server.post("/v1/events", []), "422 invalid_body ."],
      "1,001 items": [() => server.post("/v1/events", Array(1001).fill(event)), "422 invalid_body ."],
      "9 MiB": [() => server.post("/v1/events", `["${"x".repeat(9 * 1024 * 1024)}"]`), "413 body_too_large"],
      "half an array": [() => server.post("/v1/events", '[{"type":'), "400 malformed_json"],
    });
    expect((await sent(server, [7 as unknown as object])).body.position).toBe(
      (await server.get("/readyz")).body.head,
    );
  });

  it("records for a key what the key may record, item by item", async () => {
    const server = await openTestServer();
    const permissions = ["runs:create", "runs:cancel"];
    const { body: made } = await server.post<{ key: string }>("/v1/keys", { permissions });
    const { post } = client(server.url, made.key);
    const { body } = await post<Batch>("/v1/events", [
      created("k"),
      on("k", "run.started"),
      on("k", "run.cancel_requested"),
    ]);
    expect(outcomes(body)).toEqual(["recorded", "invalid forbidden", "recorded"]);
    expect(body.items[1]).toMatchObject({ permissions: ["runs:record"] });
  });
});
