import type { Admin } from "kafkajs";
import type { KafkaLog } from "./client-log.ts";
import { UnusableKafka } from "./errors.ts";

export type TopicSettings = {
  /** The broker's own defaults unless given. */
  partitions?: number;
  replication?: number;
  /** What it is created with, and why it has to be so. */
  config: Readonly<Record<string, { value: string; why: string }>>;
};

/** Whether the topic was made now; and in what a topic that was there differs, a line for each. */
export type EnsuredTopic = { created: boolean; differences: readonly string[] };

const deleted = { value: "delete", why: "compaction keeps one message of each key and drops the others" };
const asSent = { value: "producer", why: "the broker would compress anew, perhaps by what we cannot read" };
const kept = (what: string) => ({
  "cleanup.policy": deleted,
  "compression.type": asSent,
  "retention.ms": { value: "-1", why: `${what} are lost once they are older` },
  "retention.bytes": { value: "-1", why: `${what} are lost once there are more` },
});

/** What each of our topics has to be like. */
export const topicConfigs = {
  events: kept("events"),
  commands: kept("commands that wait while the ledger is away"),
  refusals: kept("refusals that nobody has read"),
  parked: kept("messages that nobody has looked at"),
  /** They carry nothing, and nobody reads an old one. */
  wakes: {
    "cleanup.policy": deleted,
    "compression.type": asSent,
    "retention.ms": { value: "600000", why: "old messages only take room" },
    "segment.ms": { value: "600000", why: "old messages go with their segment" },
  },
} satisfies Record<string, TopicSettings["config"]>;

/** What the client's number for a topic's settings is. */
const TOPIC = 2;

/** Makes a topic, or looks at the one that is there: nobody's topic is changed behind their back. */
export async function ensureTopic(
  admin: Admin,
  name: string,
  settings: TopicSettings,
  log: KafkaLog,
): Promise<EnsuredTopic> {
  const { partitions, replication, config } = settings;
  const configEntries = Object.entries(config).map(([key, { value }]) => ({ name: key, value }));
  // With three copies one broker may be away and still nothing is acknowledged that only one has.
  if (replication !== undefined && replication >= 3)
    configEntries.push({ name: "min.insync.replicas", value: "2" });
  const created = await admin
    .createTopics({
      topics: [
        {
          topic: name,
          configEntries,
          ...(partitions === undefined ? {} : { numPartitions: partitions }),
          ...(replication === undefined ? {} : { replicationFactor: replication }),
        },
      ],
    })
    .catch((error: Error & { errors?: readonly Error[] }) => {
      if (!error.errors) throw error; // The broker has not said no: it went away.
      const reasons = error.errors.map(({ message }) => message).join("; ");
      throw new UnusableKafka(`the topic ${name} cannot be made: ${reasons}`, { cause: error });
    });
  if (created) {
    log.info({ topic: name, partitions, replication }, "kafka.topic_created");
    return { created, differences: [] };
  }
  const differences = await differencesOf(admin, name, config);
  for (const difference of differences) log.warn({ topic: name, detail: difference }, "kafka.topic_differs");
  return { created, differences };
}

async function differencesOf(admin: Admin, name: string, config: TopicSettings["config"]): Promise<string[]> {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: TOPIC, name, configNames: Object.keys(config) }],
  });
  const found = new Map(resources[0]?.configEntries.map((entry) => [entry.configName, entry.configValue]));
  return Object.entries(config).flatMap(([key, { value, why }]) => {
    const is = found.get(key);
    return is === undefined || is === value
      ? []
      : [`the topic ${name} has ${key}=${is} instead of ${value}: ${why}`];
  });
}
