import { z } from "zod";
import { address, boolean, brokers, integer, matching, oneOf } from "./variables.ts";

/** The servers that a ledger can stand on, each chosen by variables alone. */
export const engines = {
  eventStore: oneOf(["sqlite", "eventstoredb"]).default("sqlite"),
  eventStoreUrl: address("esdb", "esdb+discover", "kurrentdb", "kurrentdb+discover").optional(),
  streamPrefix: matching(
    /^[A-Za-z][\w.-]{0,30}$/,
    "1-31 of A-Z a-z 0-9 . _ -, with a letter in front",
  ).default("rl."),
  /** Without it nothing that was written can be erased from a store that cannot overwrite. */
  sealContent: boolean.default(true),
  views: oneOf(["sqlite", "postgres"]).default("sqlite"),
  postgresUrl: address("postgres", "postgresql").optional(),
  postgresSchema: matching(/^[a-z_][a-z0-9_]{0,47}$/, "1-48 of a-z 0-9 _, with no digit in front").default(
    "runledger",
  ),
  postgresConnectionsMax: integer(2, 1000).default(10),
  postgresTimeoutMs: integer(100).default(30_000),
  /** How long a process may be silent before another takes over what only one of them does. */
  leaseMs: integer(1000, 60_000).default(6000),
  kafka: brokers.optional(),
  kafkaTls: boolean.default(false),
  kafkaSasl: oneOf(["plain", "scram-sha-256", "scram-sha-512"]).optional(),
  kafkaUsername: z.string().optional(),
  kafkaPassword: z.string().optional(),
  kafkaTopicPrefix: matching(/^[\w.-]{0,200}$/, "at most 200 of A-Z a-z 0-9 . _ -").default("runledger."),
  /** Of topics that are made here; the broker's own default otherwise. */
  kafkaPartitions: integer(1, 10_000).optional(),
  kafkaReplication: integer(1, 100).optional(),
  kafkaContent: boolean.default(false),
  kafkaDeliveries: boolean.default(false),
  /** Whose runs the topic of commands is about. */
  kafkaWorkspace: matching(/^[a-z0-9-]{1,32}$/, "the slug of a workspace: 1-32 of a-z 0-9 -").default(
    "default",
  ),
} as const;

export const Engines = z.object(engines);
type Settings = z.infer<typeof Engines>;

export type EventStoreDbConfig = { url: string; streamPrefix: string; sealContent: boolean };
export type PostgresConfig = {
  url: string;
  schema: string;
  connectionsMax: number;
  timeoutMs: number;
  leaseMs: number;
};
export type KafkaConfig = {
  brokers: readonly string[];
  tls: boolean;
  sasl?: { mechanism: NonNullable<Settings["kafkaSasl"]>; username: string; password: string };
  /** Names of topics: the prefix, and what each is for. */
  topics: { events: string; wakes: string; commands: string; refusals: string; parked: string };
  /** The consumer group of those who read commands. */
  group: string;
  partitions?: number;
  replication?: number;
  /** Whether the topic of events also has what was written. A topic is out of erasure's reach. */
  content: boolean;
  deliveries: boolean;
  workspace: string;
};

/** The engines that were asked for; a member that is absent was not. */
export type EnginesConfig = {
  readonly eventStoreDb?: EventStoreDbConfig;
  readonly postgres?: PostgresConfig;
  readonly kafka?: KafkaConfig;
};

/** What only makes sense together, as lines for whoever started this. */
export function* engineProblems(settings: Settings, hasSecretsKey: boolean): Generator<string> {
  const { eventStore, eventStoreUrl, views, postgresUrl, kafka, kafkaSasl } = settings;
  if (eventStore === "eventstoredb" && eventStoreUrl === undefined)
    yield "RUNLEDGER_EVENT_STORE=eventstoredb needs RUNLEDGER_EVENT_STORE_URL";
  if (eventStore === "sqlite" && eventStoreUrl !== undefined)
    yield "RUNLEDGER_EVENT_STORE_URL needs RUNLEDGER_EVENT_STORE=eventstoredb";
  if (views === "postgres" && postgresUrl === undefined)
    yield "RUNLEDGER_VIEWS=postgres needs RUNLEDGER_POSTGRES_URL";
  if (views === "sqlite" && postgresUrl !== undefined)
    yield "RUNLEDGER_POSTGRES_URL needs RUNLEDGER_VIEWS=postgres";
  if (views === "postgres" && !hasSecretsKey)
    yield "RUNLEDGER_VIEWS=postgres needs RUNLEDGER_SECRETS_KEY: the vault is in PostgreSQL then, " +
      "and its key must not be";
  if (kafka?.length === 0) yield "RUNLEDGER_KAFKA must name a broker, or be left out";
  const named = [kafkaSasl, settings.kafkaUsername, settings.kafkaPassword];
  if (named.some((each) => each !== undefined) && named.some((each) => each === undefined))
    yield "RUNLEDGER_KAFKA_SASL, RUNLEDGER_KAFKA_USERNAME and RUNLEDGER_KAFKA_PASSWORD need each other";
}

export function enginesOf(settings: Settings): EnginesConfig {
  const { eventStoreUrl, streamPrefix, sealContent, postgresUrl, kafka } = settings;
  return {
    ...(eventStoreUrl === undefined
      ? {}
      : { eventStoreDb: { url: eventStoreUrl, streamPrefix, sealContent } }),
    ...(postgresUrl === undefined
      ? {}
      : {
          postgres: {
            url: postgresUrl,
            schema: settings.postgresSchema,
            connectionsMax: settings.postgresConnectionsMax,
            timeoutMs: settings.postgresTimeoutMs,
            leaseMs: settings.leaseMs,
          },
        }),
    ...(kafka === undefined ? {} : { kafka: kafkaOf(kafka, settings) }),
  };
}

/** Our topics, whose names begin alike. */
export const topicsOf = (prefix: string): KafkaConfig["topics"] => ({
  events: `${prefix}events`,
  wakes: `${prefix}wakes`,
  commands: `${prefix}commands`,
  refusals: `${prefix}refusals`,
  parked: `${prefix}parked`,
});

function kafkaOf(brokers: readonly string[], settings: Settings): KafkaConfig {
  const { kafkaSasl, kafkaUsername: username, kafkaPassword: password, kafkaTopicPrefix: prefix } = settings;
  const [partitions, replication] = [settings.kafkaPartitions, settings.kafkaReplication];
  const has = kafkaSasl !== undefined && username !== undefined && password !== undefined;
  return {
    brokers,
    tls: settings.kafkaTls,
    ...(has ? { sasl: { mechanism: kafkaSasl, username, password } } : {}),
    topics: topicsOf(prefix),
    group: `${prefix}ingest`,
    ...(partitions === undefined ? {} : { partitions }),
    ...(replication === undefined ? {} : { replication }),
    content: settings.kafkaContent,
    deliveries: settings.kafkaDeliveries,
    workspace: settings.kafkaWorkspace,
  };
}
