import { spawnSync } from "node:child_process";
import { describe, it } from "vitest";
import { hasKafkaJars } from "./servers/kafka.ts";

/** Something that a test needs and that not every machine has. */
export type Need = {
  name: string;
  readonly isThere: boolean;
  /** A server: where `RUNLEDGER_REQUIRE_SERVERS` is set, no test may be skipped for lack of it. */
  isServer?: true;
};

const runs = (name: string): boolean =>
  spawnSync(name, ["--version"], { stdio: "ignore" }).error === undefined;

/** A program that is found on the PATH. */
export const program = (name: string): Need => ({ name, isThere: runs(name) });

/** A broker: the one that is named, or a machine that can start its own. */
export const kafkaServer: Need = {
  isServer: true,
  name: "KAFKA_BROKERS, nor Java and Maven to start a broker with,",
  get isThere() {
    return Boolean(process.env.KAFKA_BROKERS) || (runs("java") && (hasKafkaJars() || runs("mvn")));
  },
};

/** A machine that can start brokers: for tests that take theirs away. */
export const kafkaOfItsOwn: Need = {
  isServer: true,
  name: "Java and Maven to start a broker with",
  get isThere() {
    return runs("java") && (hasKafkaJars() || runs("mvn"));
  },
};

const isRequired = ({ isServer }: Need) =>
  isServer === true && process.env.RUNLEDGER_REQUIRE_SERVERS !== undefined;
const reasonOf = (need: Need) => `there is no ${need.name} here`;

/** `it`, for a test that cannot run everywhere: without what it needs it is skipped and its name says why.
 *  A server that is required is not skipped: then it fails. */
export function itNeeds(
  need: Need,
): (name: string, test: () => Promise<void> | void, timeoutMs?: number) => void {
  if (need.isThere) return (name, test, timeoutMs) => it(name, test, timeoutMs);
  const reason = reasonOf(need);
  if (!isRequired(need)) return (name, test) => it.skip(`${name} (skipped: ${reason})`, test);
  return (name) =>
    it(name, () => {
      throw new Error(reason);
    });
}

/** `describe`, for tests that need the same thing: skipped together, or failing as one. */
export function describeNeeds(need: Need): (name: string, tests: () => void) => void {
  if (need.isThere) return (name, tests) => describe(name, tests);
  const reason = reasonOf(need);
  if (!isRequired(need)) return (name, tests) => describe.skip(`${name} (skipped: ${reason})`, tests);
  return (name) =>
    it(name, () => {
      throw new Error(reason);
    });
}

/** `it`, for a test about something that this run's servers do not have. */
export const itOnlyOn =
  (what: string) =>
  (name: string, test: () => Promise<void> | void, _timeoutMs?: number): void =>
    it.skip(`${name} (skipped: it is about ${what})`, test);
