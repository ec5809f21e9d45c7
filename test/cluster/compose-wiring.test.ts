import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { expect, onTestFinished, vi } from "vitest";
import { newKeyText } from "../../shared/ledger/keys.ts";
import { openPostgres } from "../../shared/postgres/postgres.ts";
import { client, type EndpointMade } from "../support/client.ts";
import { ours, type Service, variablesOf, variablesOfImage } from "../support/compose.ts";
import { openTopic } from "../support/publishing.ts";
import { openReceiver } from "../support/receiver.ts";
import { addressOf } from "../support/servers/address-of.ts";
import { startEventStoreDb } from "../support/servers/eventstoredb.ts";
import { itNeeds, kafkaServer } from "../support/skip.ts";
import { root } from "../support/sources.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { idsOf } from "../support/whole-topic.ts";

const PATIENCE = { timeout: 30_000, interval: 100 };
/** What a container has for itself, and a process shares with all others of this machine. */
const PORT = "8080";
const key = newKeyText("default");

type Container = { name: string; url: string; port: string; service: Service };

/** A database of its own in the server that tests share: the schema is the one that the file has. */
async function newDatabase(): Promise<string> {
  const url = await addressOf("postgres");
  const name = `c${randomBytes(6).toString("hex")}`;
  const server = await openPostgres({
    ...{ url, schema: "public", name: "test", connectionsMax: 1, statementTimeoutMs: 30_000 },
    onFault: () => {},
  });
  await server.query(`CREATE DATABASE ${name}`);
  await server.close();
  return Object.assign(new URL(url), { pathname: `/${name}` }).href;
}

async function freePort(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return `${typeof address === "object" && address ? address.port : 0}`;
}

/** The container's command with the container's variables, as a process on a port of its own. */
async function start(name: string, service: Service, set: Readonly<Record<string, string>>, prefix: string) {
  const port = await freePort();
  const [program, ...args] = service.command ?? [];
  expect(program).toBe("node");
  const inherited = Object.entries(process.env).filter(([each]) => !/^(RUNLEDGER_|VITEST)/.test(each));
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: {
      ...Object.fromEntries(inherited),
      ...variablesOfImage(),
      ...variablesOf(service, set),
      RUNLEDGER_HOST: "127.0.0.1",
      RUNLEDGER_PORT: port,
      RUNLEDGER_DATA: temporaryFolder(),
      // Of the broker that all tests share.
      RUNLEDGER_KAFKA_TOPIC_PREFIX: prefix,
    },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (text) => {
    said += text;
  });
  const ended = once(child, "exit");
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  void ended.then(([code]) => expect(code, `${name} ended: ${said}`).toBe(null));
  return { name, service, port, url: `http://127.0.0.1:${port}` };
}

/** Runs the health check that the file has for a container. */
async function isHealthy({ service, port }: Container): Promise<boolean> {
  const [kind, program, ...args] = service.healthcheck?.test ?? [];
  expect([kind, program]).toEqual(["CMD", "node"]);
  const here = args.map((each) => each.replace(`127.0.0.1:${PORT}`, `127.0.0.1:${port}`));
  expect(here).not.toEqual(args);
  const [code] = await once(spawn(process.execPath, here, { stdio: "ignore" }), "exit");
  return code === 0;
}

itNeeds(kafkaServer)(
  "the commands of docker-compose.yml's cluster, run as processes, are one ledger",
  async () => {
    const eventStore = await startEventStoreDb();
    onTestFinished(() => eventStore.stop());
    const set = {
      RUNLEDGER_SECRETS_KEY: randomBytes(32).toString("hex"),
      RUNLEDGER_FIRST_KEY: key,
      POSTGRES_PASSWORD: "of the file's own server, which is not here",
      RUNLEDGER_EVENT_STORE_URL: eventStore.address,
      RUNLEDGER_POSTGRES_URL: await newDatabase(),
      RUNLEDGER_KAFKA: await addressOf("kafka"),
      RUNLEDGER_WEBHOOK_ALLOW: "127.0.0.0/8",
    };
    const topic = await openTopic();
    const inCluster = ours.filter(([, { profiles }]) => profiles.includes("cluster"));
    const containers = await Promise.all(
      inCluster.map(([name, service]) => start(name, service, set, topic.prefix)),
    );
    for (const container of containers) await vi.waitUntil(() => isHealthy(container), PATIENCE);
    const apis = containers.filter(({ service }) => service.command?.at(-1) === "api");
    const [one, two] = apis.map(({ url }) => client(url, key));
    if (!one || !two) throw new RangeError("there are not two of api");
    for (const api of [one, two])
      await vi.waitUntil(async () => (await api.get("/readyz")).status === 200, PATIENCE);

    // What one API records a webhook tells of, the other one shows, and the topic of events has.
    const receiver = await openReceiver();
    const made = await one.post<EndpointMade>("/v1/webhook-endpoints", { url: receiver.url });
    expect(made.status).toBe(201);
    const { body } = await one.create({ recipients: ["ada"] });
    const [child] = body.recipientRuns;
    const recorded = await two.record(child?.id ?? "", ["run.started", "run.completed"]);
    expect(recorded.status).toBe(201);
    expect((await receiver.next()).body.data.run).toMatchObject({ id: body.run.id, status: "completed" });
    await vi.waitUntil(async () => (await two.run(body.run.id)).body.status === "completed", PATIENCE);

    // A command from the topic of commands is carried out too.
    const producer = topic.producer();
    await producer.connect();
    onTestFinished(() => producer.disconnect());
    const value = JSON.stringify({ type: "run.created", data: { workflow: "by-kafka" } });
    const messages = [{ key: "one", value, headers: { "command-id": "one" } }];
    const send = () => producer.send({ topic: topic.config.topics.commands, messages });
    await vi.waitUntil(
      () =>
        send().then(
          () => true,
          () => false,
        ),
      PATIENCE,
    );
    await one.untilEvents("&type=run.created", (events) =>
      events.some(({ data }) => data.workflow === "by-kafka"),
    );
    const events = await one.events();
    await vi.waitUntil(async () => new Set(idsOf(await topic.read())).size >= events.length, PATIENCE);
    expect(new Set(idsOf(await topic.read()))).toEqual(new Set(events.map(({ id }) => id)));
  },
  120_000,
);
