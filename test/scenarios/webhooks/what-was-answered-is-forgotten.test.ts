import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { cell, cellVariables, variablesFor } from "../../support/cell.ts";
import type { DeliveryJson, Page } from "../../support/client.ts";
import { manualClock } from "../../support/manual-clock.ts";
import { openTestServer, type TestServer } from "../../support/open-server.ts";
import { openReceiver } from "../../support/receiver.ts";
import { runProgram } from "../../support/run-program.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { dumpViews } from "../../support/views.ts";

const ANSWER = "classified";
const DAY_MS = 86_400_000;
const WAITING = { timeout: 20_000, interval: 20 };
const engines = cell.eventStoreDb ? (["eventstoredb"] as const) : (["sqlite", "eventstoredb"] as const);

/** A server whose receiver has answered twice: with something, and with nothing. */
async function answered(engine: (typeof engines)[number], env: Record<string, string> = {}) {
  const folder = temporaryFolder();
  const inServer = await variablesFor(folder, { ...cell, eventStoreDb: engine === "eventstoredb" });
  const variables = { ...(await cellVariables(folder)), ...inServer, ...env };
  const clock = manualClock();
  const server = await openTestServer({ folder, clock, env: variables });
  const receiver = await openReceiver();
  await server.post("/v1/webhook-endpoints", { url: receiver.url });
  receiver.answerNext({ status: 200, body: ANSWER }, { status: 204 });
  for (const count of [1, 2]) {
    const { body } = await server.create({});
    await server.record(body.run.id, ["run.started", "run.completed"]);
    await server.untilEvents("&type=delivery.responded", ({ length }) => length === count);
  }
  const position = (await server.get("/readyz")).body.head;
  const { body } = await server.get<Page<DeliveryJson>>(`/v1/deliveries?minPosition=${position}`);
  const [silent = "", talkative = ""] = body.items.map(({ id }) => id);
  return { server, receiver, clock, variables, silent, talkative };
}

const attemptsOf = async ({ get }: TestServer, id: string) =>
  (await get<DeliveryJson>(`/v1/deliveries/${id}`)).body.attempts ?? [];

describe.each(engines)("what a receiver answered, in %s", { timeout: 60_000 }, (engine) => {
  it("is shown, then shown as erased, and everything else stays as it was", async () => {
    const { server, clock, talkative, silent } = await answered(engine);
    const before = await attemptsOf(server, talkative);
    const { excerpt, ...facts } = before[0] as (typeof before)[0] & { excerpt?: string };
    expect([excerpt, facts]).toMatchObject([ANSWER, { responseBytes: ANSWER.length, httpStatus: 200 }]);
    const neverAny = await attemptsOf(server, silent);

    await clock.jump(7 * DAY_MS);
    const erased = await vi.waitUntil(async () => {
      const attempts = await attemptsOf(server, talkative);
      return "erased" in (attempts[0] ?? {}) ? attempts : undefined;
    }, WAITING);
    const erasedAt = new Date(clock.now()).toISOString();
    expect(erased).toEqual([{ ...facts, erased: true, erasedAt }]);
    expect(await attemptsOf(server, silent)).toEqual(neverAny);
    expect(neverAny[0]).not.toHaveProperty("erased");
    const lines = await vi.waitUntil(() => {
      const found = server.lines.filter(({ msg }) => msg === "excerpts.erased");
      return found.length > 0 ? found : undefined;
    }, WAITING);
    expect(lines).toMatchObject([{ class: "delivered", count: 1 }]);
    expect((await server.get("/metrics")).text).toContain(
      'runledger_erased_excerpts_total{class="delivered"} 1\n',
    );
    expect((await server.get("/v1/events?after=0&type=delivery.responded")).text).not.toContain(ANSWER);
  });

  it("leaves a log that verifies, is copied and rebuilt as one of which something was erased", async () => {
    const { server, clock, variables, talkative } = await answered(engine);
    await clock.jump(7 * DAY_MS);
    await vi.waitUntil(async () => "erased" in ((await attemptsOf(server, talkative))[0] ?? {}), WAITING);
    const { folder } = server;
    const head = (await server.get("/readyz")).body.head;
    await server.get(`/v1/deliveries?minPosition=${head}`);
    await server.close();
    const run = (name: string, data: string, env: Record<string, string>, ...args: string[]) =>
      runProgram(`services/${name}.ts`, { data, env, args });

    const live = await dumpViews(folder);
    expect((await run("rebuild", folder, variables)).code).toBe(0);
    expect(await dumpViews(folder)).toEqual(live);
    const verified = await run("verify", folder, variables);
    expect([verified.code, verified.out]).toEqual([
      0,
      expect.stringMatching(/; the content of 1 was erased\n$/),
    ]);

    const [path, copy] = [join(temporaryFolder(), "log.ndjson"), join(temporaryFolder(), "data")];
    expect((await run("export", folder, variables, path)).code).toBe(0);
    const imported = await run("import", copy, {}, path);
    expect([imported.err, imported.code]).toEqual([expect.any(String), 0]);
    const again = await run("verify", copy, {});
    expect(again.out).toMatch(/^verified \d+ events .*; the content of 1 was erased\n$/);
  });

  it("is recorded again when the delivery is, as far as that can be kept", async () => {
    const { server, receiver, clock, talkative } = await answered(engine);
    await clock.jump(7 * DAY_MS);
    await vi.waitUntil(async () => "erased" in ((await attemptsOf(server, talkative))[0] ?? {}), WAITING);
    receiver.answerNext({ status: 200, body: ANSWER });
    await server.post(`/v1/deliveries/${talkative}/resend`, {});
    await server.untilEvents("&type=delivery.responded", ({ length }) => length === 3);
    const [, second] = await attemptsOf(server, talkative);
    expect(second).toMatchObject({ attempt: 2, outcome: "delivered", responseBytes: ANSWER.length });
    if (engine === "sqlite") expect(second).toMatchObject({ excerpt: ANSWER });
    else expect(second).toMatchObject({ erased: true, erasedAt: new Date(clock.now()).toISOString() });
  });

  it("is never recorded where it is to be kept for no day", async () => {
    const { server, talkative } = await answered(engine, { RUNLEDGER_EXCERPT_DAYS: "delivered:0" });
    const [attempt] = await attemptsOf(server, talkative);
    expect(attempt).toMatchObject({ outcome: "delivered", responseBytes: ANSWER.length });
    expect(attempt).not.toHaveProperty("excerpt");
    expect(attempt).not.toHaveProperty("erased");
  });
});
