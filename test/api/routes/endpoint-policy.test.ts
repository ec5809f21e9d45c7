import { describe, expect, it } from "vitest";
import type { EventJson, JsonBody } from "../../support/client.ts";
import { openTestServer } from "../../support/open-server.ts";

const PATH = "/v1/webhook-endpoints";
const url = "https://example.com/hooks";
type Endpoint = JsonBody & { id: string };

const filter = {
  workflows: ["billing"],
  recipients: ["ada", { id: "7", collection: "teams" }],
  statuses: ["completed", "awaiting_input"],
  hasErrors: false,
  test: false,
  where: { "input.amount": { $gte: 100 } },
};
const policy = {
  filter,
  attemptsMax: 3,
  timeoutMs: 5000,
  retriedStatuses: ["429", "5xx"],
  payload: "thin",
  order: "perRun",
  perSecondMax: 0.5,
  weight: 10,
};
const usual = {
  filter: null,
  attemptsMax: 10,
  timeoutMs: 20_000,
  retriedStatuses: null,
  payload: "full",
  order: "unordered",
  perSecondMax: null,
  weight: 1,
};

describe("how an endpoint is served", () => {
  it("is kept as it was said, and shown wherever the endpoint is", async () => {
    const server = await openTestServer();
    const made = await server.post<{ endpoint: Endpoint; position: string }>(PATH, { url, ...policy });
    expect(made.body.endpoint).toMatchObject(policy);
    const { id } = made.body.endpoint;
    expect((await server.get(`${PATH}/${id}`)).body).toMatchObject(policy);
    const listed = await server.get<{ items: Endpoint[] }>(`${PATH}?minPosition=${made.body.position}`);
    expect(listed.body.items[0]).toEqual(made.body.endpoint);
  });

  it("names nobody in the log's structure", async () => {
    const server = await openTestServer();
    await server.post(PATH, { url, ...policy });
    const [created] = (await server.get<{ items: EventJson[] }>("/v1/events?type=endpoint.created")).body
      .items;
    expect(created?.data.match).toEqual({ recipients: filter.recipients, where: filter.where });
    const { recipients: _, where: __, ...structure } = filter;
    expect(created?.data.filter).toEqual({ ...structure, matches: true });
  });

  it("is changed member by member, and each can be taken away", async () => {
    const server = await openTestServer();
    const { body } = await server.post<{ endpoint: Endpoint }>(PATH, { url, ...policy });
    const path = `${PATH}/${body.endpoint.id}`;
    let expected: JsonBody = policy;
    for (const name of Object.keys(policy)) {
      expected = { ...expected, [name]: usual[name as keyof typeof usual] };
      const changed = await server.call("PATCH", path, { [name]: null });
      expect([name, changed.status, changed.body]).toEqual([name, 200, expect.objectContaining(expected)]);
    }
    const nothing = await server.call("PATCH", path, { filter: {}, weight: null });
    expect(nothing.body).toMatchObject({ ...usual, revision: Object.keys(policy).length });
    const back = await server.call("PATCH", path, policy);
    expect(back.body).toMatchObject(policy);
  });

  it("follows its own schedule where nothing is said of attempts", async () => {
    const server = await openTestServer();
    const { body } = await server.post<{ endpoint: Endpoint }>(PATH, { url, scheduleMs: [0, 1000] });
    expect(body.endpoint).toMatchObject({ attemptsMax: 2, scheduleMs: [0, 1000] });
  });

  it.each<[string, object, string]>([
    ["no attempts", { attemptsMax: 0 }, "/attemptsMax"],
    ["too many attempts", { attemptsMax: 21 }, "/attemptsMax"],
    ["half a second", { timeoutMs: 500 }, "/timeoutMs"],
    ["more than a minute", { timeoutMs: 60_001 }, "/timeoutMs"],
    ["a status that there is not", { retriedStatuses: ["600"] }, "/retriedStatuses/0"],
    ["a status as a number", { retriedStatuses: [503] }, "/retriedStatuses/0"],
    ["another form", { payload: "small" }, "/payload"],
    ["another order", { order: "strict" }, "/order"],
    ["no rate", { perSecondMax: 0 }, "/perSecondMax"],
    ["a weight of nothing", { weight: 0 }, "/weight"],
    ["a pattern that names nothing", { types: ["job.*"] }, "/types/0"],
    ["a pattern in the middle", { types: ["run.*.failed"] }, "/types/0"],
    ["a filter of another kind", { filter: [] }, "/filter"],
    ["an unknown member", { filter: { workflow: "billing" } }, "/filter/workflow"],
    ["a member that the log makes", { filter: { matches: true } }, "/filter/matches"],
    ["no workflows", { filter: { workflows: [] } }, "/filter/workflows"],
    ["a status that owes nothing", { filter: { statuses: ["running"] } }, "/filter/statuses/0"],
    ["a recipient of another kind", { filter: { recipients: [7] } }, "/filter/recipients/0"],
    ["errors as text", { filter: { hasErrors: "yes" } }, "/filter/hasErrors"],
    ["an empty condition", { filter: { where: {} } }, "/filter/where"],
    ["no condition", { filter: { where: 1 } }, "/filter/where"],
    ["an unknown operator", { filter: { where: { a: { $regex: "." } } } }, "/filter/where/a/$regex"],
    ["a wrong operand", { filter: { where: { $or: [{ a: { $gt: null } }] } } }, "/filter/where/$or/0/a/$gt"],
    ["a name with a slash", { filter: { where: { "a/b": {} } } }, "/filter/where/a~1b"],
  ])("is refused with %s, and where it is wrong is said", async (_, settings, pointer) => {
    const server = await openTestServer();
    const { body } = await server.post<{ endpoint: Endpoint }>(PATH, { url });
    const asked = [
      server.post(PATH, { url, ...settings }),
      server.call("PATCH", `${PATH}/${body.endpoint.id}`, settings),
    ];
    for (const refused of await Promise.all(asked)) {
      const { errors } = refused.body as { errors: { pointer: string }[] };
      expect([refused.status, refused.body.code, errors[0]?.pointer]).toEqual([422, "invalid_body", pointer]);
    }
  });
});
