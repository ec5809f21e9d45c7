import { expect, it } from "vitest";
import { logCreatorFor } from "../../shared/kafka/client-log.ts";
import { keptLog } from "../support/kafka.ts";

const [ERROR, WARN, INFO] = [1, 2, 4];

function write(namespace: string, level: number, fields: object = {}) {
  const { log, lines } = keptLog();
  const entry = {
    timestamp: "2026-01-01",
    logger: "kafkajs",
    message: "what happened",
    stack: "at",
    ...fields,
  };
  logCreatorFor(log)(level)({ namespace, level, label: "", log: entry });
  return lines;
}

it("writes a fault of the client as a warning, without what our log has already", () => {
  expect(write("Runner", ERROR, { groupId: "group" })).toEqual([
    {
      level: "warn",
      message: "kafka.client",
      fields: { client: "Runner", detail: "what happened", groupId: "group" },
    },
  ]);
});

it.each([
  ["what is tried again", "Producer", ERROR, { retryTime: 200 }],
  ["a connection that is lost", "Connection", ERROR, {}],
  ["a broker that is away", "BrokerPool", ERROR, {}],
  ["a crash, of which the watchdog tells", "Consumer", ERROR, {}],
  ["what we chose", "Producer", WARN, {}],
  ["what is usual", "ConsumerGroup", INFO, {}],
])("keeps %s for those who look closely", (_, namespace, level, fields) => {
  expect(write(namespace, level, fields).map((line) => line.level)).toEqual(["debug"]);
});
