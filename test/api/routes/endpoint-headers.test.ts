import { describe, expect, it, vi } from "vitest";
import type { JsonBody } from "../../support/client.ts";
import { openTestServer, type TestServer } from "../../support/open-server.ts";
import { openReceiver } from "../../support/receiver.ts";
import { expectRefused, type Refused } from "../../support/refusals.ts";

type Endpoint = JsonBody & { id: string; headerNames: string[]; headerFamilies: string[] };
type Made = { endpoint: Endpoint; secret: string | null; position: string };

const PATH = "/v1/webhook-endpoints";
const url = "https://example.com/hooks";
const create = ({ post }: TestServer, body: object = {}, id?: string) =>
  post<Made>(PATH, { url, ...body }, id === undefined ? {} : { headers: { "idempotency-key": id } });
const change = ({ call }: TestServer, id: string, body: object) =>
  call<Endpoint>("PATCH", `${PATH}/${id}`, body);

/** What an endpoint of this server is sent next. */
async function delivered(server: TestServer, receiver: Awaited<ReturnType<typeof openReceiver>>) {
  const { body } = await server.create({});
  await server.record(body.run.id, ["run.started", "run.completed"]);
  return (await receiver.next()).headers;
}

describe("an endpoint's own headers", () => {
  it("are in every delivery with the bearer token, and in no answer, event or line of the log", async () => {
    const server = await openTestServer();
    const receiver = await openReceiver();
    const values = ["canary-one", "canary-two", "canary-token"];
    const made = await create(server, {
      url: receiver.url,
      headers: { "X-Tenant": values[0], "x-api-key": values[1] },
      bearerToken: values[2],
      headerFamilies: ["svix", "knock"],
    });
    expect(made.body.endpoint.headerNames).toEqual(["authorization", "x-api-key", "x-tenant"]);
    const headers = await delivered(server, receiver);
    expect(headers).toMatchObject({
      authorization: "Bearer canary-token",
      "x-tenant": "canary-one",
      "x-api-key": "canary-two",
      "svix-id": headers["webhook-id"],
      "svix-signature": headers["webhook-signature"],
      "x-knock-signature": expect.stringMatching(/^t=\d{13},s=/),
    });
    const { id } = made.body.endpoint;
    const answers = [
      made,
      await server.get(`${PATH}/${id}`),
      await server.get(`${PATH}/${id}/secret`),
      await server.get(`${PATH}?minPosition=${made.body.position}`),
      await server.get("/v1/events?type=endpoint.created"),
      await server.get("/v1/deliveries"),
      await change(server, id, { headers: { "x-tenant": "canary-four" } }),
      await change(server, id, { headers: { "x-tenant": "canary-five\n" } }),
    ];
    await vi.waitFor(() => expect(JSON.stringify(server.lines)).toContain("delivery.attempted"));
    const said = answers.map(({ text }) => text).join("\n") + JSON.stringify(server.lines);
    expect(said).not.toContain("canary");
  });

  it("are replaced as a whole, and the bearer token by itself", async () => {
    const server = await openTestServer();
    const receiver = await openReceiver();
    const { body } = await create(server, { url: receiver.url, headers: { "x-a": "1" }, bearerToken: "t" });
    const { id } = body.endpoint;
    const namesAfter = async (asked: object) => (await change(server, id, asked)).body.headerNames;
    expect(await namesAfter({ description: "other" })).toEqual(["authorization", "x-a"]);
    expect(await namesAfter({ headers: { "x-b": "2", "x-c": "3" } })).toEqual([
      "authorization",
      "x-b",
      "x-c",
    ]);
    expect(await delivered(server, receiver)).toMatchObject({ authorization: "Bearer t", "x-b": "2" });
    expect(await namesAfter({ bearerToken: "u" })).toEqual(["authorization", "x-b", "x-c"]);
    const headers = await delivered(server, receiver);
    expect(headers).toMatchObject({ authorization: "Bearer u", "x-b": "2", "x-c": "3" });
    expect(headers).not.toHaveProperty("x-a");
    expect(await namesAfter({ bearerToken: null })).toEqual(["x-b", "x-c"]);
    expect(await namesAfter({ headers: { Authorization: "Basic YTpi" } })).toEqual(["authorization"]);
    expect(await delivered(server, receiver)).toMatchObject({ authorization: "Basic YTpi" });
    expect(await namesAfter({ headers: null, bearerToken: null })).toEqual([]);
    expect(await delivered(server, receiver)).not.toHaveProperty("authorization");
  });

  it("that stay as they are record nothing", async () => {
    const server = await openTestServer();
    const { body } = await create(server, { headers: { "x-a": "1" }, bearerToken: "t" });
    const same = await change(server, body.endpoint.id, { headers: { "X-A": "1" }, bearerToken: "t" });
    expect(same.body).toEqual(body.endpoint);
    const other = await change(server, body.endpoint.id, { headers: { "x-a": "2" } });
    expect(other.body).toMatchObject({ revision: 1, headerNames: ["authorization", "x-a"] });
  });

  it("make the same command again only with the same values", async () => {
    const server = await openTestServer();
    const asked = { headers: { "x-a": "1" }, bearerToken: "t" };
    const made = await create(server, asked, "k");
    expect((await create(server, asked, "k")).body).toEqual({ ...made.body, secret: null });
    for (const other of [
      { ...asked, bearerToken: "u" },
      { ...asked, headers: { "x-a": "2" } },
    ])
      expect((await create(server, other, "k")).body).toMatchObject({ code: "idempotency_conflict" });
  });

  it("that the ledger says itself, or that could say something else, are refused", async () => {
    const server = await openTestServer();
    const { id } = (await create(server)).body.endpoint;
    const refused = (asked: object, expected: string): Refused => [() => create(server, asked), expected];
    const reserved = (name: string): Refused =>
      refused({ headers: { [name]: "1" } }, "422 header_not_allowed");
    const invalid = (headers: object, where: string) => refused({ headers }, `422 invalid_body ${where}`);
    const many = (count: number, value = "1") =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`x-${index}`, value]));
    await expectRefused(server, {
      host: reserved("Host"),
      "the signature": reserved("webhook-signature"),
      "the position": reserved("ledger-position"),
      "svix's": reserved("svix-id"),
      "the length": reserved("Content-Length"),
      "the connection": reserved("connection"),
      "an encoding": reserved("transfer-encoding"),
      "the sender": reserved("user-agent"),
      "a changed one": [() => change(server, id, { headers: { te: "trailers" } }), "422 header_not_allowed"],
      "a line break in a value": invalid({ "x-a": "1\r\nx-b: 2" }, "/headers/x-a"),
      "a line break in a name": invalid({ "x-a\r\nx-b": "1" }, "/headers/x-a\r\nx-b"),
      "a space in a name": invalid({ "x a": "1" }, "/headers/x a"),
      "an empty name": invalid({ "": "1" }, "/headers/"),
      "an empty value": invalid({ "x-a": "" }, "/headers/x-a"),
      "no ASCII": invalid({ "x-a": "ä" }, "/headers/x-a"),
      "no text": invalid({ "x-a": 1 }, "/headers/x-a"),
      "one twice": invalid({ "x-a": "1", "X-A": "2" }, "/headers/X-A"),
      "too many": invalid(many(21), "/headers"),
      "too large": invalid(many(5, "v".repeat(1000)), "/headers"),
      "a token that is none": refused({ bearerToken: "a b" }, "422 invalid_body /bearerToken"),
      "no token": refused({ bearerToken: "" }, "422 invalid_body /bearerToken"),
      "two authorizations": refused(
        { bearerToken: "t", headers: { authorization: "Basic YTpi" } },
        "422 invalid_body /bearerToken",
      ),
      "no list": refused({ headers: ["x-a"] }, "422 invalid_body /headers"),
      "an unknown family": refused({ headerFamilies: ["stripe"] }, "422 invalid_body /headerFamilies/0"),
      "a family twice": refused({ headerFamilies: ["svix", "svix"] }, "422 invalid_body /headerFamilies"),
      "knock without a shared secret": refused(
        { headerFamilies: ["knock"], signing: "v1a" },
        "422 invalid_body /headerFamilies",
      ),
    });
    expect((await create(server, { headers: many(20) })).status).toBe(201);
    const own = (await create(server, { signing: "v1a" })).body.endpoint.id;
    expect(await change(server, own, { headerFamilies: ["knock"] })).toMatchObject({ status: 422 });
    expect((await change(server, own, { headerFamilies: ["svix"] })).body.headerFamilies).toEqual(["svix"]);
    expect((await change(server, own, { headerFamilies: [] })).body.headerFamilies).toEqual([]);
  });
});
