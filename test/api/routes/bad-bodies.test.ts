import { describe, expect, it } from "vitest";
import type { JsonBody } from "../../support/client.ts";
import { openTestServer, type TestServer } from "../../support/open-server.ts";
import { expectRefused, type Refused } from "../../support/refusals.ts";

const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;
const names = (count: number) => Array.from({ length: count }, (_, index) => `r${index}`);
const waitId = "wait_01h455vb4pex5vsknk084sn02q";

/** A server with a run that is running. */
async function withRun(): Promise<{ server: TestServer; runId: string; refusedEvents: RefusedEvents }> {
  const server = await openTestServer();
  const { body } = await server.create({});
  await server.record(body.run.id, "run.started");
  const path = `/v1/runs/${body.run.id}/events`;
  const refusedEvents: RefusedEvents = (events, expected) => [() => server.post(path, events), expected];
  return { server, runId: body.run.id, refusedEvents };
}
type RefusedEvents = (events: unknown, expected: string) => Refused;

describe("the creation of a run refuses, and records nothing of", () => {
  it("a body that is no JSON that can be kept", async () => {
    const server = await openTestServer();
    const body = (text: string, expected: string): Refused => [() => server.post("/v1/runs", text), expected];
    const input = (text: string, expected: string) => body(`{"workflow":"a","input":${text}}`, expected);
    await expectRefused(server, {
      "half a body": body('{"workflow":', "400 malformed_json"),
      "nothing at all": body("", "400 malformed_json"),
      "a trailing comma": body('{"workflow":"a",}', "400 malformed_json"),
      "more than 1 MiB": body(`{"workflow":"a","input":"${"x".repeat(1024 * 1024)}"}`, "413 body_too_large"),
      "65 levels": input(nested(64), "422 invalid_body ."),
      "a lone surrogate": input('"\\ud800"', "422 invalid_body ."),
      "a lone surrogate in a key": input('{"\\udc00":1}', "422 invalid_body ."),
      "U+0000 in a key": input('{"a\\u0000":1}', "422 invalid_body ."),
      "the same key twice": input('{"a":1,"a":2}', "422 invalid_body ."),
      "the same key twice, once escaped": input('{"a":1,"\\u0061":2}', "422 invalid_body ."),
      "a number above every double": input("1e400", "422 invalid_body ."),
      "a number below every double": input("1e-400", "422 invalid_body ."),
      "a number between two doubles": input("12345678901234567890", "422 invalid_body ."),
    });
    const at = await server.post("/v1/runs", '{"workflow": nothing}');
    expect(at.body).toMatchObject({ code: "malformed_json", offset: 13 });
  });

  it("members that do not fit", async () => {
    const server = await openTestServer();
    const body = (members: object, expected: string): Refused => [
      () => server.post("/v1/runs", { workflow: "a", ...members }),
      expected,
    ];
    await expectRefused(server, {
      "an array": [() => server.post("/v1/runs", []), "422 invalid_body ."],
      null: [() => server.post("/v1/runs", null), "422 invalid_body ."],
      "no workflow": body({ workflow: undefined }, "422 invalid_body /workflow"),
      "a number as workflow": body({ workflow: 7 }, "422 invalid_body /workflow"),
      "an empty workflow": body({ workflow: "" }, "422 invalid_body /workflow"),
      "a long workflow": body({ workflow: "x".repeat(256) }, "422 invalid_body /workflow"),
      "a control character in a name": body({ workflow: "a\nb" }, "422 invalid_body /workflow"),
      "another control character": body({ workflow: "a\u009fb" }, "422 invalid_body /workflow"),
      "members that nobody knows": body({ inputs: 1, a: 2 }, "422 invalid_body /inputs /a"),
      "a member that only the ledger makes": body({ recipientCount: 3 }, "422 invalid_body /recipientCount"),
      "a recipient of its own": body({ recipient: "ada" }, "422 invalid_body /recipient"),
      "an at that is no date": body({ at: "2026-02-30T00:00:00Z" }, "422 invalid_body /at"),
      "an at without an offset": body({ at: "2026-01-01T00:00:00" }, "422 invalid_body /at"),
      "an at in a leap second": body({ at: "2016-12-31T23:59:60Z" }, "422 invalid_body /at"),
      "an at at 24 o'clock": body({ at: "2016-12-31T24:00:00Z" }, "422 invalid_body /at"),
      "an at in the future": body({ at: new Date(Date.now() + 400_000).toISOString() }, "422 at_in_future"),
      "metadata that is no object": body({ metadata: [1] }, "422 invalid_body /metadata"),
      "metadata of 65 keys": body(
        { metadata: Object.fromEntries(names(65).map((name) => [name, 1])) },
        "422 invalid_body /metadata",
      ),
      "no recipients": body({ recipients: [] }, "422 invalid_body /recipients"),
      "1,001 recipients": body({ recipients: names(1001) }, "422 invalid_body /recipients"),
      "a recipient twice": body({ recipients: ["a", "b", "a"] }, "422 duplicate_recipients"),
      "a recipient twice, in a collection": body(
        {
          recipients: [
            { id: "a", collection: "c" },
            { collection: "c", id: "a" },
          ],
        },
        "422 duplicate_recipients",
      ),
      "a number as recipient": body({ recipients: ["a", 7] }, "422 invalid_body /recipients/1"),
      "a recipient without collection": body({ recipients: [{ id: "a" }] }, "422 invalid_body /recipients/0"),
      "a parent that is no id": body({ parentId: "run_1" }, "422 invalid_body /parentId"),
      "a parent that is not there": body(
        { parentId: "run_01h455vb4pex5vsknk084sn02q" },
        "422 invalid_body /parentId",
      ),
      "more than 256 KiB": body({ input: "x".repeat(256 * 1024) }, "413 event_too_large"),
    });
  });

  it("what an operator allows less of", async () => {
    const server = await openTestServer({
      env: {
        RUNLEDGER_RECIPIENTS_MAX: "2",
        RUNLEDGER_METADATA_KEYS_MAX: "1",
        RUNLEDGER_EVENT_BYTES_MAX: "1024",
        RUNLEDGER_BODY_BYTES_MAX: "4096",
      },
    });
    const body = (members: object, expected: string): Refused => [
      () => server.post("/v1/runs", { workflow: "a", ...members }),
      expected,
    ];
    await expectRefused(server, {
      "three recipients": body({ recipients: names(3) }, "422 invalid_body /recipients"),
      "two keys": body({ metadata: { a: 1, b: 2 } }, "422 invalid_body /metadata"),
      "2 KiB": body({ input: "x".repeat(2048) }, "413 event_too_large"),
      "5 KiB": body({ input: "x".repeat(5000) }, "413 body_too_large"),
      "5 KiB elsewhere": [
        () => server.post("/v1/webhook-endpoints", { url: `https://example.com/${"x".repeat(5000)}` }),
        "413 body_too_large",
      ],
    });
  });

  it("but keeps what is only unusual, exactly", async () => {
    const server = await openTestServer();
    const numbers = '"n":[1.0,-0,1e2,0.1]';
    const input = `{"__proto__":{"a":1},"constructor":[],"z":"\\u0000",${numbers},"deep":${nested(61)}}`;
    const created = await server.post<{ run: JsonBody }>(
      "/v1/runs",
      `{"workflow":"ä/ \u{1f680}","input":${input}}`,
    );
    expect(created.status).toBe(201);
    expect(created.text).toContain('"__proto__":{"a":1}');
    const read = await server.get(
      `/v1/runs/${created.body.run.id}?minPosition=${created.headers.get("ledger-position")}`,
    );
    expect(read.text).toContain('"__proto__":{"a":1}');
    const kept = read.body.input as JsonBody;
    expect(Object.keys(kept).sort()).toEqual(["__proto__", "constructor", "deep", "n", "z"]);
    expect(kept).toMatchObject({ z: "\u0000", n: [1, 0, 100, 0.1], constructor: [] });
    expect(read.body.workflow).toBe("ä/ \u{1f680}");
  });
});

describe("reporting on a run refuses, and records nothing of", () => {
  it("events that do not fit", async () => {
    const { server, runId, refusedEvents: events } = await withRun();
    const started = { type: "step.started", data: { stepRef: "s" } };
    await expectRefused(server, {
      "a text": events('"run.completed"', "422 invalid_body ."),
      "no events": events([], "422 invalid_body ."),
      "101 events": events(Array(101).fill({ type: "run.progressed" }), "422 invalid_body ."),
      "an unknown type": events({ type: "run.exploded" }, "422 invalid_body /type"),
      "no type": events({ data: {} }, "422 invalid_body /type"),
      "a number as type": events([started, { type: 7 }], "422 invalid_body /1/type"),
      "a creation": events({ type: "run.created", data: { workflow: "a" } }, "422 invalid_body /type"),
      "another kind's type": events({ type: "endpoint.deleted" }, "422 invalid_body /type"),
      "a member that nobody knows": events({ type: "run.paused", why: 1 }, "422 invalid_body /why"),
      "one inside data": events({ type: "run.paused", data: { why: 1 } }, "422 invalid_body /data/why"),
      "data that is no object": events({ type: "run.paused", data: [] }, "422 invalid_body /data"),
      "data that is missing": events({ type: "run.input_given" }, "422 invalid_body /data"),
      "an answer without input": events(
        { type: "run.input_given", data: { waitId } },
        "422 invalid_body /data/input",
      ),
      "a wait id brought when opening": events(
        { type: "run.awaiting_input", data: { prompt: "?", waitId } },
        "422 invalid_body /data/waitId",
      ),
      "a flag that the ledger sets": events(
        { type: "run.failed", data: { hasError: true } },
        "422 invalid_body /data/hasError",
      ),
      "an attempt that is none": events(
        { type: "step.started", data: { stepRef: "s", attempt: 0 } },
        "422 invalid_body /data/attempt",
      ),
      "a reason that is a sentence": events(
        { type: "run.failed", data: { reason: "It broke." } },
        "422 invalid_body /data/reason",
      ),
      "an error that is a text": events(
        { type: "run.failed", data: { error: "broken" } },
        "422 invalid_body /data/error",
      ),
      "more than 100 percent": events(
        { type: "run.progressed", data: { percent: 101 } },
        "422 invalid_body /data/percent",
      ),
      "a date that is none": events(
        { type: "run.awaiting_input", data: { prompt: "?", expiresAt: "tomorrow" } },
        "422 invalid_body /data/expiresAt",
      ),
      "a future": events({ type: "run.completed", at: "2999-01-01T00:00:00Z" }, "422 at_in_future"),
      "secret input": events(
        { type: "run.awaiting_input", data: { prompt: "?", kind: "secret" } },
        "422 secret_input_not_yet",
      ),
      "everything that is wrong at once": events(
        [{ type: "x" }, { type: "run.paused", a: 1 }, { ...started, at: "?" }],
        "422 invalid_body /0/type /1/a /2/at",
      ),
      "one that is too large": events(
        { type: "run.completed", data: { output: "x".repeat(256 * 1024) } },
        "413 event_too_large",
      ),
      "some that are too large together": events(
        Array(4).fill({ type: "run.noted", data: { name: "n", outcome: "ok", detail: "x".repeat(240_000) } }),
        "413 event_too_large",
      ),
    });
    const { body } = await server.get<{ items: unknown[] }>(`/v1/runs/${runId}/events`);
    expect(body.items).toHaveLength(2);
  });

  it("an unknown type by its name, in one line", async () => {
    const { server, runId } = await withRun();
    const { body } = await server.record(runId, "run.exploded");
    expect(body).toMatchObject({
      detail: '/type: "run.exploded" is no type of event that this takes',
      errors: [{ pointer: "/type", code: "invalid_union" }],
    });
  });

  it("ids that cannot stand where they stand", async () => {
    const { server, runId } = await withRun();
    const path = `/v1/runs/${runId}/events`;
    const event = (id?: string) => ({ type: "run.progressed", ...(id === undefined ? {} : { id }) });
    const headers = { "idempotency-key": "h" };
    await expectRefused(server, {
      "on some items only": [() => server.post(path, [event("a"), event()]), "422 invalid_body /1/id"],
      "beside the header": [() => server.post(path, event("a"), { headers }), "422 command_id_twice"],
      "on all items beside the header": [
        () => server.post(path, [event("a"), event("b")], { headers }),
        "422 command_id_twice",
      ],
      "with a space in it": [() => server.post(path, event("a b")), "400 invalid_command_id"],
      "of 256 characters": [() => server.post(path, event("x".repeat(256))), "400 invalid_command_id"],
      "that are empty": [() => server.post(path, event("")), "400 invalid_command_id"],
      "that are numbers": [() => server.post(path, { ...event(), id: 7 }), "422 invalid_body /id"],
    });
  });

  it("a transition that may not follow, without touching the run", async () => {
    const { server, runId } = await withRun();
    const stream = async () => (await server.get<{ items: unknown[] }>(`/v1/runs/${runId}/events`)).text;
    const before = await stream();
    const refused = async (...events: (string | object)[]) => {
      const { status, headers, body } = await server.record(runId, events);
      return [status, (body as unknown as JsonBody).code, headers.get("x-should-retry")];
    };
    expect(await refused("run.accepted")).toEqual([409, "transition_not_allowed", "false"]);
    expect(await refused("run.paused", "run.completed")).toEqual([409, "transition_not_allowed", "false"]);
    const step = { type: "step.completed", data: { stepRef: "s" } };
    expect(await refused(step)).toEqual([409, "step_transition_not_allowed", "false"]);
    const second = { type: "step.started", data: { stepRef: "s", attempt: 2 } };
    expect(await refused(second)).toEqual([409, "step_attempt_mismatch", "false"]);
    const answer = { type: "run.input_given", data: { waitId, input: 1 } };
    expect(await refused({ type: "run.awaiting_input", data: { prompt: "?" } }, answer)).toEqual([
      409,
      "wait_unknown",
      "false",
    ]);
    expect(await stream()).toBe(before);
  });
});
