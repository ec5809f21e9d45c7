import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { Kafka, logLevel } from "kafkajs";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { catalogue } from "../services/api/problems.ts";
import { parts } from "../services/roles.ts";
import { parseConfig } from "../shared/platform/config.ts";
import { engines } from "../shared/platform/engines.ts";
import { variablesFor } from "./support/cell.ts";
import type { Client, Page, RunJson } from "./support/client.ts";
import {
  type Block,
  blocksIn,
  filesIn,
  isKnown,
  isServing,
  openOperator,
  type Process,
} from "./support/operator.ts";
import { addressOf } from "./support/servers/address-of.ts";
import { startEventStoreDb } from "./support/servers/eventstoredb.ts";
import { startPostgres } from "./support/servers/postgres.ts";
import { itNeeds, kafkaServer } from "./support/skip.ts";
import { root, sourcesIn } from "./support/sources.ts";
import { spawnServer } from "./support/spawn-server.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

const doc = readFileSync(`${root}docs/operating.md`, "utf8");
const blocks = blocksIn(doc);
const files = filesIn(blocks);
const commands = blocks.filter(({ language }) => language === "sh");
const namesKafka = ({ text }: Block): boolean => text.includes("=kafka.env");
const makesSecrets = ({ text }: Block): boolean => text.endsWith("> secrets.env");
const sourceText = sourcesIn("shared", "services", "projections")
  .map(({ text }) => text)
  .join("\n");

/** Every process is ready, and a run that one of the API's processes records is in the lists of all. */
async function showsARun(running: readonly Process[]): Promise<string> {
  const workflow = `w${randomBytes(6).toString("hex")}`;
  const isReady = async ({ api }: Process) => (await api.get("/readyz")).status === 200;
  for (const each of running) await vi.waitUntil(() => isReady(each), { timeout: 20_000 });
  const apis = running.filter(({ role }) => role === "all" || role === "api");
  const made = await apis[0]?.api.create({ workflow, input: { letter: "A" } });
  expect(made?.status).toBe(201);
  for (const { api } of apis) {
    const query = `workflow=${workflow}&minPosition=${made?.body.position}`;
    const list = async () => (await api.get<Page<RunJson>>(`/v1/runs?${query}`)).body;
    // A view that is further behind than a request waits says so, and is asked again.
    await vi.waitUntil(async () => (await list()).items !== undefined, { timeout: 20_000 });
    expect((await list()).items.map(({ id }) => id)).toEqual([made?.body.run.id]);
  }
  return made?.body.run.id ?? "";
}

/** What runs publishes, and takes a command. */
async function goesThroughKafka(running: readonly Process[], prefix: string): Promise<void> {
  const having = (role: string) => running.find((each) => each.role === role || each.role === "all");
  const metricsOf = async () => (await having("publisher")?.api.get("/metrics"))?.text ?? "";
  const timeout = 30_000;
  const isOut = async () => /^runledger_published_messages_total [1-9]/m.test(await metricsOf());
  await vi.waitUntil(isOut, { timeout });
  await vi.waitUntil(() => having("ingest")?.said().includes('"msg":"ingest.assigned"'), { timeout });
  const brokers = (await addressOf("kafka")).split(",");
  const producer = new Kafka({ brokers, logLevel: logLevel.NOTHING, retry: { retries: 10 } }).producer();
  await producer.connect();
  onTestFinished(() => producer.disconnect());
  const value = JSON.stringify({ type: "run.created", data: { workflow: "by-kafka" } });
  const headers = { "command-id": "welcome-42" };
  await producer.send({ topic: `${prefix}commands`, messages: [{ key: "welcome-42", value, headers }] });
  const listed = () => having("api")?.api.get<Page<RunJson>>("/v1/runs?workflow=by-kafka");
  await vi.waitUntil(async () => (await listed())?.body.items?.length === 1, { timeout });
}

describe("docs/operating.md", () => {
  it("is made of files and commands that this test knows", () => {
    for (const { language, text } of blocks) {
      expect(["ini", "sh"], text).toContain(language);
      if (language === "ini") expect(text).toMatch(/^# \w+\.env\n/);
      else expect(text.split("\n").filter((line) => !isKnown(line))).toEqual([]);
    }
    const started = commands.map(({ text }) => text).join("\n");
    for (const file of files.keys()) expect(started).toContain(`--env-file=${file} `);
    for (const role of parts) expect(started).toMatch(new RegExp(`services/main\\.ts ${role}$`, "m"));
  });

  it("leads from one process on files to many on servers, with every run that was recorded", async () => {
    const operator = openOperator(files);
    const kept = new Map<string, string>();
    for (const block of commands.filter((each) => !namesKafka(each))) {
      await operator.do(block);
      const running = operator.running();
      if (!isServing(block.text.split("\n")[0] ?? "")) continue;
      const file = /views\.env|copy\.env/.exec(block.text)?.[0] ?? "the ledger that moves";
      const before = kept.get(file === "copy.env" ? "the ledger that moves" : file);
      const id = await showsARun(running);
      if (before !== undefined) {
        const { status, body } = (await running[0]?.api.run(before)) ?? {};
        expect([status, body]).toMatchObject([200, { id: before, input: { letter: "A" } }]);
      }
      if (file !== "copy.env") kept.set(file, before ?? id);
    }
    await operator.stop();
    expect([...kept.keys()]).toEqual(["the ledger that moves", "views.env"]);
  }, 120_000);

  itNeeds(kafkaServer)(
    "brings what happened to Kafka, and takes commands from there",
    async () => {
      const operator = openOperator(files);
      for (const block of commands.filter(makesSecrets)) await operator.do(block);
      for (const block of commands.filter(namesKafka)) {
        await operator.do(block);
        await showsARun(operator.running());
        await goesThroughKafka(operator.running(), operator.topicPrefix());
      }
      await operator.stop();
    },
    120_000,
  );
});

/** Asks until something is answered so. */
const untilAnswered = (api: Client, path: string, isIt: (status: number) => boolean) =>
  vi.waitUntil(async () => isIt((await api.get(path)).status), { timeout: 20_000 });

const isFault = (status: number): boolean => status >= 500;
const isFine = (status: number): boolean => status === 200;

describe("what docs/operating.md says of outages", () => {
  it("is so: what needs a server that is away is refused, and all goes on when it is back", async () => {
    const [log, postgres] = await Promise.all([startEventStoreDb({ keeps: true }), startPostgres()]);
    onTestFinished(async () => void (await Promise.all([log.stop(), postgres.stop()])));
    const folder = temporaryFolder();
    const variables = await variablesFor(folder, { eventStoreDb: true, postgres: true, kafka: false });
    const addresses = {
      RUNLEDGER_EVENT_STORE_URL: log.address,
      RUNLEDGER_POSTGRES_URL: postgres.address,
    };
    const api = await spawnServer({ folder, env: { ...variables, ...addresses } });
    const { body } = await api.create({ input: "one" });
    const run = `/v1/runs/${body.run.id}`;
    expect((await api.run(body.run.id, body.position)).status).toBe(200);

    await postgres.kill();
    await untilAnswered(api, "/v1/runs", isFault);
    const away = await api.get("/v1/runs");
    expect([away.status, away.body.code]).toEqual([503, "overloaded"]);
    expect(away.headers.get("retry-after")).toMatch(/^\d+$/);
    for (const path of ["/healthz", "/readyz", "/v1/events?after=0", `${run}/events`])
      expect([path, (await api.get(path)).status]).toEqual([path, 200]);
    expect((await api.record(body.run.id, "run.started", "while-views-are-away")).status).toBe(201);
    await postgres.restart();
    await untilAnswered(api, "/v1/runs", isFine);
    await vi.waitUntil(async () => (await api.run(body.run.id)).body.status === "running", {
      timeout: 20_000,
    });

    await log.kill();
    await untilAnswered(api, `${run}/events`, isFault);
    const refused = await api.get(`${run}/events`);
    expect([refused.status, refused.body.code]).toEqual([503, "overloaded"]);
    // For as long as the key is known.
    for (const path of ["/v1/runs", run]) expect((await api.get(path)).status).toBe(200);
    expect((await api.get("/readyz")).status).toBe(503);
    expect((await api.get("/healthz")).status).toBe(200);
    const unanswered = api.create({ input: "two" }, "while-the-log-is-away");
    expect((await unanswered).status).toBe(503);
    await log.restart();
    await untilAnswered(api, `${run}/events`, isFine);
    const again = await api.create({ input: "two" }, "while-the-log-is-away");
    expect(again.status).toBeLessThan(300);
    // The views follow after a pause that grew while the log was away.
    const isInViews = async () => (await api.run(again.body.run.id, again.body.position)).status === 200;
    await vi.waitUntil(isInViews, { timeout: 40_000 });
  }, 120_000);
});

describe("what docs/operating.md names", () => {
  const variables = new Set(doc.match(/RUNLEDGER_[A-Z_]+[A-Z]/g));
  const nameOf = (setting: string) => `RUNLEDGER_${setting.replace(/[A-Z]/g, "_$&").toUpperCase()}`;

  it("has every variable of the engines, and no variable that is not there", () => {
    const { limits, isLoopback: _, ...general } = parseConfig({});
    const known = [
      ...Object.keys(general),
      ...Object.keys(limits),
      "firstKey",
      "secretsKey",
      "secretsKeyNext",
      "webhookProxy",
    ].map(nameOf);
    const ofEngines = Object.keys(engines).map(nameOf);
    expect([...variables].filter((name) => !known.includes(name) && !ofEngines.includes(name))).toEqual([]);
    expect(
      ofEngines.filter((name) => !doc.includes(`| \`${name}\``) && !doc.includes(` \`${name}\` |`)),
    ).toEqual([]);
  });

  it("has the defaults that the variables have", () => {
    for (const [setting, schema] of Object.entries(engines)) {
      const value: unknown = schema.safeParse(undefined).data;
      if (value !== undefined) expect(doc).toContain(`| \`${nameOf(setting)}\` | \`${value}\` |`);
    }
  });

  it("has every metric there is, and no other", () => {
    const found = /(?:counter|gauge)\(\s*"(\w+)"|name: "runledger_(\w+)"/g;
    const made = [...sourceText.matchAll(found)].map(([, one, other]) => `runledger_${one ?? other}`);
    expect(new Set(doc.match(/runledger_\w+/g))).toEqual(new Set(made));
  });

  it("has lines of the log that are written somewhere", () => {
    const rows = doc.slice(doc.indexOf("| line | means | do |")).split("\n\n")[0] ?? "";
    const named = [...rows.matchAll(/^\| ([^|]+) \|/gm)].flatMap(
      ([, cell = ""]) => cell.match(/\w+\.\w+/g) ?? [],
    );
    expect(named.length).toBeGreaterThan(30);
    const isWritten = (line: string) =>
      sourceText.includes(`"${line}"`) ||
      (line.startsWith("projector.") && sourceText.includes(`kind: "${line.slice("projector.".length)}"`));
    expect(named.filter((line) => !isWritten(line))).toEqual([]);
  });

  it("has every line that is written", () => {
    const written = /\blog\.(?:info|warn|error)\([^;]*?"([a-z_]+\.[a-z_]+)"\)|\bfault\("([a-z_.]+)"\)/g;
    const lines = [...sourceText.matchAll(written)].map(([, one, other]) => one ?? other ?? "");
    expect(lines.length).toBeGreaterThan(20);
    expect([...new Set(lines)].filter((line) => !doc.includes(`\`${line}\``))).toEqual([]);
  });

  it("has answers that the API gives", () => {
    const codes = [...doc.matchAll(/`(\d{3}) (\w+)`/g)].map(([, status, code = ""]) => [
      code,
      Number(status),
    ]);
    expect(codes.length).toBeGreaterThan(3);
    for (const [code, status] of codes) expect([code, status]).toEqual([code, statusOf(`${code}`)]);
  });
});

const statusOf = (code: string): number | undefined =>
  Object.entries(catalogue).find(([known]) => known === code)?.[1].status;
