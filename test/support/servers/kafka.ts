import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Running } from "./server.ts";

/** A broker of its own, which a test may take away and give back. */
export type KafkaServer = Running & {
  /** Where it lets in only who signs in, by the mechanism `plain`, as `credentials` says. */
  signedInAddress: string;
  /** Ends it as a power cut would. What it has stored stays. */
  kill(): Promise<void>;
  /** Starts it again, at the same address and with what it had stored. */
  restart(): Promise<void>;
};

export const credentials = {
  mechanism: "plain",
  username: "ledger",
  password: "of this test alone",
} as const;

const VERSION = "4.1.0";
const cache = fileURLToPath(new URL("../../../.cache/", import.meta.url));
const jars = join(cache, `kafka-${VERSION}`);

export const hasKafkaJars = (): boolean => existsSync(jars);

/** A real Apache Kafka, broker and controller in one process, on this machine alone. */
export async function startKafka(): Promise<KafkaServer> {
  fetchJars();
  const folder = mkdtempSync(join(tmpdir(), "runledger-kafka-"));
  const [port, signedInPort, controllerPort] = await freePorts();
  const file = join(folder, "server.properties");
  writeFileSync(file, properties({ port, signedInPort, controllerPort, data: join(folder, "data") }));
  const storage = ["kafka.tools.StorageTool", "format", "-t", randomUUID(), "-c", file];
  const formatting = spawn("java", [...options, ...storage], { stdio: ["ignore", "ignore", "pipe"] });
  const complaints = formatting.stderr.setEncoding("utf8").toArray();
  const [code] = await once(formatting, "close");
  if (code !== 0) throw new Error(`Kafka's folder could not be made: ${(await complaints).join("")}`);

  let broker = await boot(file);
  const endWithUs = () => broker.kill("SIGKILL");
  process.once("exit", endWithUs);
  const kill = () => end(broker);
  return {
    address: `127.0.0.1:${port}`,
    signedInAddress: `127.0.0.1:${signedInPort}`,
    kill,
    async restart() {
      await kill();
      broker = await boot(file);
    },
    async stop() {
      await kill();
      process.off("exit", endWithUs);
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

// It starts with little memory and few threads, and says only what is wrong, and that it is ready.
const options = [
  "-Xmx512m",
  "-XX:+UseSerialGC",
  "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
  "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
  "-cp",
  join(jars, "*"),
];

const READY_MS = 60_000;
const LINES_KEPT = 20;

async function boot(file: string): Promise<ChildProcess> {
  const broker = spawn("java", [...options, "kafka.Kafka", file], { stdio: ["ignore", "ignore", "pipe"] });
  const tooLate = setTimeout(() => broker.kill("SIGKILL"), READY_MS);
  const said: string[] = [];
  const lines = createInterface({ input: broker.stderr });
  const ready = new Promise<void>((resolve, reject) => {
    lines.on("line", (line) => {
      if (said.push(line) > LINES_KEPT) said.shift();
      if (line.includes("Kafka Server started")) resolve();
    });
    broker.once("error", reject);
    broker.once("close", () => reject(new Error(`Kafka did not start: ${said.join("\n")}`)));
  });
  await ready.finally(() => clearTimeout(tooLate));
  return broker;
}

async function end(broker: ChildProcess): Promise<void> {
  if (broker.exitCode !== null || broker.signalCode !== null) return;
  broker.kill("SIGKILL");
  await once(broker, "exit");
}

type Place = { port: number; signedInPort: number; controllerPort: number; data: string };

const properties = ({ port, signedInPort, controllerPort, data }: Place): string =>
  [
    "process.roles=broker,controller",
    "node.id=1",
    `controller.quorum.voters=1@127.0.0.1:${controllerPort}`,
    `listeners=PLAINTEXT://127.0.0.1:${port},SIGNED_IN://127.0.0.1:${signedInPort},` +
      `CONTROLLER://127.0.0.1:${controllerPort}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:${port},SIGNED_IN://127.0.0.1:${signedInPort}`,
    "listener.name.signed_in.sasl.enabled.mechanisms=PLAIN",
    "listener.name.signed_in.plain.sasl.jaas.config=" +
      "org.apache.kafka.common.security.plain.PlainLoginModule required " +
      `user_${credentials.username}="${credentials.password}";`,
    "controller.listener.names=CONTROLLER",
    "inter.broker.listener.name=PLAINTEXT",
    "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SIGNED_IN:SASL_PLAINTEXT",
    `log.dirs=${data}`,
    "offsets.topic.replication.factor=1",
    "offsets.topic.num.partitions=1",
    "transaction.state.log.replication.factor=1",
    "transaction.state.log.min.isr=1",
    "transaction.state.log.num.partitions=1",
    "group.initial.rebalance.delay.ms=0",
    "auto.create.topics.enable=false",
    // A broker that was killed may come back once its session is over: with 9 s that takes 12.
    "broker.session.timeout.ms=1000",
    "broker.heartbeat.interval.ms=200",
  ].join("\n");

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>runledger</groupId><artifactId>kafka-for-tests</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
`;

/** Brings Kafka's jars, once for all tests to come. Of two at once each fetches into a folder of its own, and
 *  the first one's becomes everybody's in one step: nobody ever sees half of them. */
function fetchJars(): void {
  if (hasKafkaJars()) return;
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "fetching-"));
  try {
    writeFileSync(join(folder, "pom.xml"), pom);
    const maven = spawnSync(
      "mvn",
      ["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=lib"],
      { cwd: folder, encoding: "utf8" },
    );
    if (maven.status !== 0)
      throw new Error(`Maven brought no Kafka: ${maven.error ?? maven.stdout + maven.stderr}`);
    renameSync(join(folder, "lib"), jars);
  } catch (error) {
    if (!hasKafkaJars()) throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Three ports that nobody listens on. */
async function freePorts(): Promise<[number, number, number]> {
  const servers = [createServer(), createServer(), createServer()];
  const ports: number[] = [];
  for (const server of servers) {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    ports.push(typeof address === "object" && address ? address.port : 0);
  }
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return [ports[0] ?? 0, ports[1] ?? 0, ports[2] ?? 0];
}
