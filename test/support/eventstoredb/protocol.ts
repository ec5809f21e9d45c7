import { createRequire } from "node:module";
import type * as Gossip from "@eventstore/db-client/generated/gossip_pb.js";
import type * as Features from "@eventstore/db-client/generated/serverfeatures_pb.js";
import type * as Shared from "@eventstore/db-client/generated/shared_pb.js";
import type * as Status from "@eventstore/db-client/generated/status_pb.js";
import type * as Streams from "@eventstore/db-client/generated/streams_pb.js";
import type * as Grpc from "@grpc/grpc-js";
import type * as Anything from "google-protobuf/google/protobuf/any_pb.js";

// The messages are those that the client was generated with, and they come with it: what is needed to read
// them is looked for from where the client lies.
const client = createRequire(createRequire(import.meta.url).resolve("@eventstore/db-client"));

export const grpc: typeof Grpc = client("@grpc/grpc-js");
export const streams: typeof Streams = client("../generated/streams_pb.js");
export const shared: typeof Shared = client("../generated/shared_pb.js");
export const status: typeof Status = client("../generated/status_pb.js");
export const features: typeof Features = client("../generated/serverfeatures_pb.js");
export const gossip: typeof Gossip = client("../generated/gossip_pb.js");
export const anything: typeof Anything = client("google-protobuf/google/protobuf/any_pb.js");

type Definition = Record<string, Grpc.MethodDefinition<unknown, unknown>>;
type Services = Record<string, Definition>;
const serviceOf = (file: string, name: string): Definition => {
  const found = (client(`../generated/${file}`) as Services)[name];
  if (!found) throw new Error(`the client has no ${name}`);
  return found;
};

export const featuresService = serviceOf("serverfeatures_grpc_pb.js", "ServerFeaturesService");
export const gossipService = serviceOf("gossip_grpc_pb.js", "GossipService");
export const streamsService = rawAnswers(serviceOf("streams_grpc_pb.js", "StreamsService"));

/** An event is encoded once, when it is stored: what a read answers are bytes already. */
function rawAnswers(service: Definition): Definition {
  const { read } = service;
  if (!read) throw new Error("the client cannot read");
  return { ...service, read: { ...read, responseSerialize: passedOn } };
}

/** The bytes themselves, as the kind of bytes that is asked for. */
function passedOn(bytes: unknown): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes;
  if (!(bytes instanceof Uint8Array)) throw new TypeError("an answer to a read is bytes already");
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export type ReadCall = Grpc.ServerWritableStream<Streams.ReadReq, Uint8Array>;
export type AppendCall = Grpc.ServerReadableStream<Streams.AppendReq, Streams.AppendResp>;
export type BatchCall = Grpc.ServerDuplexStream<Streams.BatchAppendReq, Streams.BatchAppendResp>;

/** What ends a call in place of an answer. */
export type Failure = { code: number; details: string; metadata?: Grpc.Metadata };

/** A failure as the server tells it in its trailers, from where the client knows which one it is. */
export function failure(code: number, details: string, told: Readonly<Record<string, string>> = {}): Failure {
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries(told)) metadata.set(key, value);
  return { code, details, metadata };
}

export const unavailable = (): Failure => failure(grpc.status.UNAVAILABLE, "Server Is Not Ready");
export const cancelled = (): Failure => failure(grpc.status.CANCELLED, "The call was cancelled");
export const notLeader = (host: string, port: number): Failure =>
  failure(grpc.status.NOT_FOUND, "Leader info available", {
    exception: "not-leader",
    "leader-endpoint-host": host,
    "leader-endpoint-port": `${port}`,
  });

export const nameOf = (identifier: Shared.StreamIdentifier | undefined): string =>
  Buffer.from(identifier?.getStreamName_asU8() ?? []).toString("utf8");

/** An id as its usual text, in whichever of its two forms it came. */
export function idOf(uuid: Shared.UUID | undefined): string {
  const halves = uuid?.getStructured();
  if (!halves) return uuid?.getString().toLowerCase() ?? "";
  const hex = [halves.getMostSignificantBits(), halves.getLeastSignificantBits()]
    .map((half) => BigInt.asUintN(64, BigInt(half)).toString(16).padStart(16, "0"))
    .join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
