import { once } from "node:events";
import { createRequire } from "node:module";
import { createServer, type Socket } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { apis, incompatibilities, preflight, saslApis } from "../../shared/kafka/preflight.ts";
import { kafkaConfig } from "../support/kafka.ts";

/** A server that does `answer` with everybody, and its address. */
async function serverThat(answer: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    answer(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  return `127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
}

/** A broker's answer to what it speaks. */
function versions(offered: readonly { key: number; min: number; max: number }[], code = 0): Buffer {
  const answer = Buffer.alloc(14 + 6 * offered.length);
  answer.writeInt32BE(10 + 6 * offered.length, 0);
  answer.writeInt16BE(code, 8);
  answer.writeInt32BE(offered.length, 10);
  for (const [index, { key, min, max }] of offered.entries())
    for (const [part, value] of [key, min, max].entries())
      answer.writeInt16BE(value, 14 + 6 * index + 2 * part);
  return answer;
}

const all = [...apis, ...saslApis].map(({ key, max }) => ({ key, min: 0, max: max + 3 }));
const answers = (bytes: Buffer) => serverThat((socket) => socket.once("data", () => socket.write(bytes)));
const errorOf = (...brokers: string[]) => preflight(kafkaConfig({ brokers })).catch((error) => error);

it.each([...apis, ...saslApis])("knows how far the client speaks $name", ({ key, name, min = 0, max }) => {
  const require = createRequire(import.meta.url);
  const { requests } = require("kafkajs/src/protocol/requests");
  const keys: Record<string, number> = require("kafkajs/src/protocol/requests/apiKeys");
  const itsName = name === "FindCoordinator" ? "GroupCoordinator" : name;
  expect(keys[itsName]).toBe(key);
  expect(requests[itsName].versions.map(Number).sort((a: number, b: number) => a - b)).toEqual(
    Array.from({ length: max + 1 - min }, (_, index) => min + index),
  );
});

it("takes a broker whose versions overlap with ours, newer ones too", async () => {
  expect(await preflight(kafkaConfig({ brokers: [await answers(versions(all))] }))).toBeUndefined();
});

it("reads an answer that comes byte by byte", async () => {
  const broker = await serverThat((socket) => {
    socket.once("data", async () => {
      for (const byte of versions(all)) {
        socket.write(Buffer.of(byte));
        await new Promise(setImmediate);
      }
    });
  });
  expect(await preflight(kafkaConfig({ brokers: [broker] }))).toBeUndefined();
});

it("says in one line what a broker is too new and too old for", async () => {
  const offered = all
    .filter(({ key }) => key !== 32)
    .map((each) => (each.key === 0 ? { ...each, min: 8 } : each))
    .map((each) => (each.key === 9 ? { ...each, max: 0 } : each));
  const broker = await answers(versions(offered));
  expect(await errorOf(broker)).toMatchObject({
    code: "unusable_kafka",
    message:
      `the broker ${broker} and this program share no protocol: ` +
      "Produce is there from version 8, ours ends with 7; " +
      "OffsetFetch is there up to version 0, ours begins with 1; DescribeConfigs is not there",
  });
});

it("asks for the versions of signing in only of whoever signs in", async () => {
  const broker = await answers(versions(all.filter(({ key }) => key !== 36)));
  expect(await preflight(kafkaConfig({ brokers: [broker] }))).toBeUndefined();
  const sasl = { mechanism: "plain", username: "a", password: "b" } as const;
  await expect(preflight(kafkaConfig({ brokers: [broker], sasl }))).rejects.toThrow(
    /SaslAuthenticate is not/,
  );
});

it.each([
  ["HTTP", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
  ["TLS", Buffer.from("15030300020100", "hex")],
  ["an error", versions([], 35)],
  ["less than it says", Buffer.concat([versions([]).subarray(0, 13), Buffer.of(200)])],
  ["an empty answer", Buffer.of(0, 0, 0, 1, 0)],
  ["a negative length", Buffer.of(255, 255, 255, 255)],
])("says that one who answers with %s is no broker for us", async (_, bytes) => {
  expect(await errorOf(await answers(bytes))).toMatchObject({ code: "unusable_kafka" });
});

it("takes one who hangs up for one that starts or stops, and says what may be missing", async () => {
  const broker = await serverThat((socket) => socket.end());
  expect(await errorOf(broker)).toMatchObject({
    code: "kafka_away",
    message: `no broker answers (${broker}: it hangs up; perhaps it wants RUNLEDGER_KAFKA_TLS=true)`,
  });
});

it("tells that nobody answers from what cannot be used", async () => {
  const [one, other] = ["127.0.0.1:1", "127.0.0.1:2"];
  const error = await errorOf(one, other);
  expect(error).toMatchObject({ code: "kafka_away" });
  expect(error.message).toContain(one);
  expect(error.message).toContain(other);
});

it("asks the next broker when the first is away", async () => {
  const brokers = ["127.0.0.1:1", await answers(versions(all))];
  expect(await preflight(kafkaConfig({ brokers }))).toBeUndefined();
});

it("refuses an address that the client would take apart", async () => {
  expect(await errorOf("[::1]:9092")).toMatchObject({ code: "unusable_kafka" });
});

it("finds nothing wrong where nothing is asked", () => expect(incompatibilities([], new Map())).toEqual([]));
