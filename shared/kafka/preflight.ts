import { once } from "node:events";
import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { KafkaConfig } from "../platform/engines.ts";
import { KafkaAway, UnusableKafka } from "./errors.ts";

/** A part of the protocol, and the versions of it from the first to the last one that somebody speaks. */
export type Api = { key: number; name: string; min?: number; max: number };
export type Range = { min: number; max: number };

/** What we use, and which versions of each the client speaks, the first one being 0 unless said. It picks the
 *  highest that the broker has and does not look at the broker's lowest: that is looked at here. */
export const apis: readonly Api[] = [
  { key: 0, name: "Produce", max: 7 },
  { key: 1, name: "Fetch", max: 11 },
  { key: 2, name: "ListOffsets", max: 3 },
  { key: 3, name: "Metadata", max: 6 },
  { key: 8, name: "OffsetCommit", max: 5 },
  { key: 9, name: "OffsetFetch", min: 1, max: 4 },
  { key: 10, name: "FindCoordinator", max: 2 },
  { key: 11, name: "JoinGroup", max: 5 },
  { key: 12, name: "Heartbeat", max: 3 },
  { key: 13, name: "LeaveGroup", max: 3 },
  { key: 14, name: "SyncGroup", max: 3 },
  { key: 19, name: "CreateTopics", max: 3 },
  { key: 22, name: "InitProducerId", max: 1 },
  { key: 32, name: "DescribeConfigs", max: 2 },
];
export const saslApis: readonly Api[] = [
  { key: 17, name: "SaslHandshake", max: 1 },
  { key: 36, name: "SaslAuthenticate", max: 1 },
];

/** What stands between us and a broker, as words of one line; empty where nothing does. */
export function incompatibilities(needed: readonly Api[], offered: ReadonlyMap<number, Range>): string[] {
  return needed.flatMap(({ key, name, min = 0, max }) => {
    const range = offered.get(key);
    if (!range) return [`${name} is not there`];
    if (range.max < min) return [`${name} is there up to version ${range.max}, ours begins with ${min}`];
    return range.min > max ? [`${name} is there from version ${range.min}, ours ends with ${max}`] : [];
  });
}

const ANSWER_MS = 5000;

/** Asks the first broker that answers what it speaks. */
export async function preflight({ brokers, tls, sasl }: KafkaConfig): Promise<void> {
  const reasons: string[] = [];
  for (const broker of brokers) {
    const [, host = "", port = ""] = /^(.*):(\d+)$/.exec(broker) ?? [];
    if (host.includes(":") || host.startsWith("["))
      throw new UnusableKafka(`the broker ${broker} needs a name: the client takes no IPv6 address`);
    let offered: ReadonlyMap<number, Range>;
    try {
      offered = await askVersions(host, Number(port), tls);
    } catch (error) {
      if (error instanceof UnusableKafka) throw error;
      reasons.push(`${broker}: ${(error as Error).message}`);
      continue;
    }
    const found = incompatibilities(sasl ? [...apis, ...saslApis] : apis, offered);
    if (found.length === 0) return;
    throw new UnusableKafka(`the broker ${broker} and this program share no protocol: ${found.join("; ")}`);
  }
  throw new KafkaAway(`no broker answers (${reasons.join("; ")})`);
}

const API_VERSIONS = 18;
/** An answer has 6 bytes for each of some hundred parts. */
const ANSWER_BYTES_MAX = 64 * 1024;

/** Every broker answers this question in its first version, before anybody has signed in. */
async function askVersions(host: string, port: number, tls: boolean): Promise<Map<number, Range>> {
  const socket: Socket = tls
    ? connectTls({ host, port, ...(isIP(host) ? {} : { servername: host }) })
    : connectPlain({ host, port });
  const tooLate = setTimeout(() => socket.destroy(new Error(`no answer in ${ANSWER_MS} ms`)), ANSWER_MS);
  try {
    await once(socket, tls ? "secureConnect" : "connect");
    const ask = Buffer.alloc(14);
    ask.writeInt32BE(10, 0);
    ask.writeInt16BE(API_VERSIONS, 4);
    ask.writeInt16BE(-1, 12); // Version 0, correlation id 0, and no name of ours.
    socket.write(ask);
    let answer = Buffer.alloc(0);
    for await (const bytes of socket) {
      answer = Buffer.concat([answer, bytes]);
      const size = answer.length < 4 ? 0 : answer.readInt32BE(0);
      if (size < 0 || size > ANSWER_BYTES_MAX) break;
      if (size > 0 && answer.length >= 4 + size) return parseVersions(answer.subarray(4, 4 + size));
    }
    const hint = tls ? "" : "; perhaps it wants RUNLEDGER_KAFKA_TLS=true";
    // Whoever starts or stops hangs up too.
    if (answer.length === 0) throw new KafkaAway(`it hangs up${hint}`);
    throw new UnusableKafka(`${host}:${port} does not answer as a Kafka broker does${hint}`);
  } finally {
    clearTimeout(tooLate);
    socket.destroy();
  }
}

function parseVersions(answer: Buffer): Map<number, Range> {
  const count = answer.length < 10 ? -1 : answer.readInt32BE(6);
  if (count < 0 || answer.length < 10 + 6 * count || answer.readInt16BE(4) !== 0)
    throw new UnusableKafka("the broker does not say which versions it speaks");
  return new Map(
    Array.from({ length: count }, (_, index) => {
      const at = 10 + 6 * index;
      return [answer.readInt16BE(at), { min: answer.readInt16BE(at + 2), max: answer.readInt16BE(at + 4) }];
    }),
  );
}
