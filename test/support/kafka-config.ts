import { type KafkaConfig, topicsOf } from "../../shared/platform/engines.ts";

/** What a process is told of a broker and of its topics, which begin alike. */
export const kafkaConfig = (
  address: string,
  prefix: string,
  more: Partial<KafkaConfig> = {},
): KafkaConfig => ({
  brokers: address.split(","),
  tls: false,
  content: false,
  deliveries: false,
  topics: topicsOf(prefix),
  group: `${prefix}ingest`,
  workspace: "default",
  partitions: 3,
  ...more,
});
