import { randomUUID } from "node:crypto";
import { onTestFinished } from "vitest";
import { type KafkaClient, openKafka } from "../../shared/kafka/client.ts";
import { type KafkaConfig, topicsOf } from "../../shared/platform/engines.ts";
import { addressOf } from "./servers/address-of.ts";

/** A configuration whose topics nobody else has. */
export function kafkaConfig(given: Partial<KafkaConfig> = {}): KafkaConfig {
  const prefix = `t${randomUUID().slice(0, 8)}.`;
  return {
    brokers: ["127.0.0.1:1"],
    tls: false,
    topics: topicsOf(prefix),
    group: `${prefix}ingest`,
    content: false,
    deliveries: false,
    workspace: "default",
    ...given,
  };
}

/** A log that keeps its lines: the message, and the fields. */
export function keptLog() {
  const lines: { level: string; message: string; fields: Record<string, unknown> }[] = [];
  const write = (level: string) => (fields: object, message: string) =>
    void lines.push({ level, message, fields: { ...fields } });
  const log = { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
  return { lines, log, named: (message: string) => lines.filter((line) => line.message === message) };
}

/** A way to the broker that all tests share, or to another one, that ends with the test. */
export async function kafkaOf(
  brokers?: string,
  log = keptLog().log,
  given: Partial<KafkaConfig> = {},
): Promise<KafkaClient> {
  const address = brokers ?? (await addressOf("kafka"));
  const kafka = await openKafka(kafkaConfig({ brokers: address.split(","), ...given }), {
    log,
    name: "test",
  });
  onTestFinished(() => kafka.close());
  return kafka;
}
