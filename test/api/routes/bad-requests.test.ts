import { describe, expect, it } from "vitest";
import { type Created, client, type JsonBody, type Page, type Reply } from "../../support/client.ts";
import { manualClock } from "../../support/manual-clock.ts";
import { openTestServer, type TestServer } from "../../support/open-server.ts";
import { expectRefused, type Refused } from "../../support/refusals.ts";

const some = { workflow: "a" };
const unknown = "01h455vb4pex5vsknk084sn02q";

/** Makes a key, and answers with a client that holds it. */
async function holderOf(server: TestServer, permissions: readonly string[], more: object = {}) {
  const { body } = await server.post<{ key: string; keyId: string }>("/v1/keys", { permissions, ...more });
  return { ...client(server.url, body.key), keyId: body.keyId, key: body.key };
}

/** Another workspace of the same server, and who may do everything there. */
async function otherWorkspace(server: TestServer, slug = "other") {
  const { body } = await server.post<{ key: string }>("/v1/workspaces", { slug });
  return client(server.url, body.key);
}

const withoutRequestId = ({ status, body }: Reply<JsonBody>) => ({ status, ...body, requestId: "" });

describe("headers", () => {
  it("that cannot be read are refused, and nothing is recorded", async () => {
    const server = await openTestServer();
    const { body } = await server.create({});
    const path = `/v1/runs/${body.run.id}/events`;
    const started = { type: "run.started" };
    const posted = (headers: Record<string, string>, expected: string, to = "/v1/runs"): Refused => [
      () => server.post(to, to === "/v1/runs" ? some : started, { headers }),
      expected,
    ];
    await expectRefused(server, {
      "a command id with a space": posted({ "idempotency-key": "a b" }, "400 invalid_command_id"),
      "a command id beyond ASCII": posted({ "idempotency-key": "\u00e9" }, "400 invalid_command_id"),
      "an empty command id": posted({ "idempotency-key": "" }, "400 invalid_command_id"),
      "256 characters": posted({ "idempotency-key": "x".repeat(256) }, "400 invalid_command_id"),
      "a command id for a batch": [
        () => server.post("/v1/events", [started], { headers: { "idempotency-key": "a" } }),
        "400 invalid_command_id",
      ],
      "another revision": posted({ "if-match": '"7"' }, "412 revision_mismatch", path),
      "a revision that is none": posted({ "if-match": "0" }, "400 invalid_header", path),
      "a position that is none": [
        () => server.get("/v1/runs", { headers: { "ledger-min-position": "-1" } }),
        "400 invalid_header",
      ],
      "a text": posted({ "content-type": "text/plain" }, "415 unsupported_media_type"),
      "another charset": posted(
        { "content-type": "application/json; charset=latin1" },
        "415 unsupported_media_type",
      ),
      "a compressed body": posted({ "content-encoding": "gzip" }, "415 unsupported_media_type"),
      "a wish for XML": posted({ accept: "application/xml" }, "406 not_acceptable"),
    });
    const mismatch = await server.post(path, started, { headers: { "if-match": '"7"' } });
    expect(mismatch.body).toMatchObject({ revision: 0 });
  });
});

describe("paths and methods", () => {
  it("that are not there are refused, and nothing is recorded", async () => {
    const server = await openTestServer();
    const run = `/v1/runs/run_${unknown}`;
    const asked = (method: string, path: string, expected: string): Refused => [
      () => server.call(method, path, method === "POST" ? some : undefined),
      expected,
    ];
    await expectRefused(server, {
      "a trailing slash": asked("POST", "/v1/runs/", "404 not_found"),
      "another case": asked("POST", "/V1/runs", "404 not_found"),
      "no version": asked("GET", "/runs", "404 not_found"),
      "a run of no form": asked("GET", "/v1/runs/1", "404 not_found"),
      "a run in capitals": asked("GET", `/v1/runs/RUN_${unknown}`, "404 not_found"),
      "a run's id that is another's": asked("GET", `/v1/runs/endpoint_${unknown}`, "404 not_found"),
      "a path that is not UTF-8": asked("GET", "/v1/runs/%ff", "404 not_found"),
      PUT: asked("PUT", "/v1/runs", "405 method_not_allowed"),
      "DELETE of a run": asked("DELETE", run, "405 method_not_allowed"),
      "POST of a run": asked("POST", run, "405 method_not_allowed"),
    });
    expect((await server.call("PUT", "/v1/runs")).headers.get("allow")).toBe("GET, HEAD, POST");
    expect((await server.call("POST", "/v1/deliveries", {})).headers.get("allow")).toBe("GET, HEAD");
  });

  it("answer HEAD like GET, without the body", async () => {
    const server = await openTestServer();
    const { status, text, headers } = await server.call("HEAD", "/v1/runs");
    expect([status, text]).toEqual([200, ""]);
    expect(Number(headers.get("content-length"))).toBeGreaterThan(0);
  });
});

describe("query parameters", () => {
  it("that cannot be are refused", async () => {
    const server = await openTestServer();
    const { body } = await server.create({});
    const cases: Record<string, Refused> = {};
    const refused = (path: string, expected = "400 invalid_query") => {
      cases[path] = [() => server.get(path), expected];
    };
    for (const list of ["runs", "recipient-runs", "deliveries", "webhook-endpoints", "keys"]) {
      for (const pageSize of ["0", "101", "-1", "1.5", "1e1", "", "all"])
        refused(`/v1/${list}?pageSize=${pageSize}`);
      refused(`/v1/${list}?page_size=10`);
      refused(`/v1/${list}?minPosition=x`);
      refused(`/v1/${list}?after=a&before=b`);
      refused(`/v1/${list}?after=a`, "400 invalid_cursor");
    }
    for (const filter of [
      "status=done",
      "status=",
      "status[]=failed",
      "workflow=",
      "workflow=a&workflow=b",
      "hasErrors=yes",
      "hasErrors=1",
      "parentId=run_1",
      "createdFrom=yesterday",
      "createdTo=2026-01-01",
      "updatedFrom=2026-13-01T00:00:00Z",
      "updatedTo=2026-01-01T24:00:00Z",
      "recipient=",
      "recipient={",
      'recipient={"id":"a"}',
      "recipient=%ff",
      "workflow=a%00b",
    ]) {
      refused(`/v1/runs?${filter}`);
      refused(`/v1/recipient-runs?${filter}`);
    }
    const run = `/v1/runs/${body.run.id}`;
    refused(`${run}?fields=id`);
    refused(`${run}/recipient-runs?parentId=${body.run.id}`);
    refused(`${run}/steps?status=failed`);
    refused(`${run}/events?after=x`);
    refused(`${run}/events?pageSize=101`);
    refused("/v1/deliveries?runId=1");
    refused("/v1/deliveries?endpointId=run_1");
    refused("/v1/deliveries?status=sent");
    for (const feed of ["wait=31", "wait=-1", "wait=1.5", "after=x", "pageSize=101", "type=*", "types=a.b"])
      refused(`/v1/events?${feed}`);
    refused("/v1/events?after=99", "400 position_unknown");
    refused("/v1/events?after=9223372036854775808");
    await expectRefused(server, cases);
    expect((await server.get("/v1/runs?stauts=failed")).body).toMatchObject({ parameter: "stauts" });
  });
});

describe("a cursor", () => {
  it("fits only the list, the filter and the workspace that it was made for, as it was made", async () => {
    const server = await openTestServer();
    const other = await otherWorkspace(server);
    const { body: parent } = await server.create({ recipients: ["a", "b"] });
    const { body: last } = await server.create({});
    const { body } = await server.get<Page<object>>(`/v1/runs?pageSize=1&minPosition=${last.position}`);
    const { after } = body.pageInfo;
    const children = `/v1/runs/${parent.run.id}/recipient-runs`;
    const of = await server.get<Page<object>>(`${children}?pageSize=1`);
    const child = of.body.pageInfo.after;
    const bad = (path: string, expected = "400 invalid_cursor"): Refused => [
      () => server.get(path),
      expected,
    ];
    const tampered = `${after?.slice(0, -2)}AA`;
    await expectRefused(server, {
      "another filter": bad(`/v1/runs?status=failed&after=${after}`),
      "a filter more": bad(`/v1/runs?workflow=onboarding&after=${after}`),
      "another list": bad(`/v1/recipient-runs?after=${after}`),
      "another kind of list": bad(`/v1/deliveries?after=${after}`),
      "another run's list": bad(`/v1/runs/${last.run.id}/recipient-runs?after=${child}`),
      "all of them": bad(`/v1/recipient-runs?after=${child}`),
      "its steps": bad(`/v1/runs/${parent.run.id}/steps?after=${child}`),
      "a changed one": bad(`/v1/runs?after=${tampered}`),
      "a longer one": bad(`/v1/runs?after=${after}AAAA`),
      "one with spaces": bad(`/v1/runs?after=${after}%20`),
      "an empty one": bad("/v1/runs?after="),
      "another workspace": [() => other.get(`/v1/runs?after=${after}`), "400 invalid_cursor"],
    });
    expect((await server.get(`/v1/runs?after=${after}&pageSize=3`)).status).toBe(200);
  });
});

describe("what is another workspace's", () => {
  it("is answered exactly like what is not there", async () => {
    const server = await openTestServer();
    const other = await otherWorkspace(server);
    const { body: run } = await other.post<Created>("/v1/runs", some);
    const { body: made } = await other.post<{ endpoint: { id: string } }>("/v1/webhook-endpoints", {
      url: "https://example.com/hooks",
      status: "disabled",
    });
    const { body: key } = await other.post<{ keyId: string }>("/v1/keys", { permissions: ["runs:read"] });
    const pairs: [theirs: string, nobodys: string][] = [
      [`/v1/runs/${run.run.id}`, `/v1/runs/run_${unknown}`],
      [`/v1/webhook-endpoints/${made.endpoint.id}`, `/v1/webhook-endpoints/endpoint_${unknown}`],
      [`/v1/keys/${key.keyId}`, "/v1/keys/0000000000"],
    ];
    const headOf = async () => (await server.get("/readyz")).body.head;
    const head = await headOf();
    const alike = async (method: string, below = "", body?: unknown) => {
      for (const [theirs, nobodys] of pairs) {
        const [one, two] = [
          await server.call(method, theirs + below, body),
          await server.call(method, nobodys + below, body),
        ];
        if (one.status === 405) continue;
        expect(withoutRequestId(one)).toEqual(withoutRequestId(two));
        expect([one.status, one.body.code, "instance" in one.body]).toEqual([404, "not_found", false]);
        expect(one.text).not.toContain(theirs.split("/").at(-1));
      }
    };
    await alike("GET");
    await alike("GET", "/events");
    await alike("GET", "/steps");
    await alike("GET", "/recipient-runs");
    await alike("POST", "/events", { type: "run.started" });
    await alike("POST", "/rotate", {});
    await alike("PATCH", "", {});
    await alike("DELETE");
    const child = await server.post("/v1/runs", { ...some, parentId: run.run.id });
    expect([child.status, child.body.code]).toEqual([422, "invalid_body"]);
    const batch = await server.post("/v1/events", [{ type: "run.started", runId: run.run.id }]);
    expect(batch.body.items).toMatchObject([{ outcome: "invalid", code: "not_found" }]);
    expect(await headOf()).toBe(head);
  });
});

describe("a key", () => {
  it("is needed, must be known, and must not have ended", async () => {
    const clock = manualClock();
    const server = await openTestServer({ clock });
    const expiring = await holderOf(server, ["runs:create"], {
      expiresAt: new Date(clock.now() + 60_000).toISOString(),
    });
    const revoked = await holderOf(server, ["runs:create"]);
    expect((await server.call("DELETE", `/v1/keys/${revoked.keyId}`)).status).toBe(204);
    await clock.advance(60_000);
    const asked = (key: string | undefined, expected: string): Refused => [
      () => client(server.url, key).post("/v1/runs", some),
      expected,
    ];
    await expectRefused(server, {
      none: asked(undefined, "401 unauthenticated"),
      "of another form": asked("secret", "401 unauthenticated"),
      "with another secret": asked(`${server.key.slice(0, -1)}~`, "401 unauthenticated"),
      "with a secret of ours": asked(server.key.slice(0, -43) + "A".repeat(43), "401 unauthenticated"),
      "of another workspace": asked(server.key.replace("default", "other"), "401 unauthenticated"),
      expired: asked(expiring.key, "401 key_expired"),
      revoked: asked(revoked.key, "401 key_revoked"),
    });
    const { headers } = await client(server.url, undefined).get("/v1/runs");
    expect(headers.get("www-authenticate")).toBe("Bearer");
  });

  it("opens only what it was made for, and is told what is missing", async () => {
    const server = await openTestServer();
    const { body } = await server.create({});
    const events = `/v1/runs/${body.run.id}/events`;
    const reader = await holderOf(server, ["runs:read"]);
    const creator = await holderOf(server, ["runs:create"]);
    const canceller = await holderOf(server, ["runs:cancel"]);
    const lacks = (ask: () => Promise<Reply<JsonBody>>): Refused => [ask, "403 forbidden"];
    await expectRefused(server, {
      creating: lacks(() => reader.post("/v1/runs", some)),
      reporting: lacks(() => creator.post(events, { type: "run.started" })),
      reading: lacks(() => creator.get(`/v1/runs/${body.run.id}`)),
      listing: lacks(() => reader.get("/v1/runs")),
      following: lacks(() => reader.get("/v1/events")),
      "more than cancelling": lacks(() =>
        canceller.post(events, [{ type: "run.cancel_requested" }, { type: "run.started" }]),
      ),
      "an answer": lacks(() =>
        canceller.post(events, { type: "run.input_given", data: { waitId: `wait_${unknown}`, input: 1 } }),
      ),
      "a key with more": lacks(() => reader.post("/v1/keys", { permissions: ["runs:read"] })),
    });
    const { body: problem } = await reader.post("/v1/runs", some);
    expect(problem).toMatchObject({ permissions: ["runs:create"] });
    expect((await canceller.post(events, { type: "run.cancel_requested" })).status).toBe(201);
  });
});
