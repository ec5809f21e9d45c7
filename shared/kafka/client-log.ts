import type { logCreator } from "kafkajs";

/** As much of a log as is written to here. */
export type KafkaLog = Record<"debug" | "info" | "warn", (fields: object, message: string) => void>;

/** The number by which the client names its level of errors. */
const ERROR = 1;

/** What becomes known to whoever asked for it, or is tried again by itself. */
const QUIET = new Set(["Consumer", "Connection", "ConnectionPool", "BrokerPool", "Cluster"]);

/** The client's own lines, in our log. It calls an error what it tries again a moment later, like a broker
 *  that  is still starting, and a warning what we chose: those are for whoever looks closely. What is left
 *  becomes a  warning, because the fault itself reaches whoever asked, and is told there. */
export const logCreatorFor =
  (log: KafkaLog): logCreator =>
  () =>
  ({ namespace, level, log: { message, timestamp: _, logger: __, stack: ___, ...fields } }) => {
    const line = { client: namespace, detail: message, ...fields };
    const isTriedAgain = "retryTime" in fields || QUIET.has(namespace);
    if (level === ERROR && !isTriedAgain) log.warn(line, "kafka.client");
    else log.debug(line, "kafka.client");
  };
