import type { Server, sendUnaryData } from "@grpc/grpc-js";
import { appending, batchAppending } from "./appending.ts";
import type { Command, Counts } from "./control.ts";
import { openFaults } from "./faults.ts";
import {
  failure,
  features,
  featuresService,
  gossip,
  gossipService,
  grpc,
  streamsService,
} from "./protocol.ts";
import { reading } from "./reading.ts";
import type { StoredStreams } from "./stored-streams.ts";
import { openSubscriptions } from "./subscribing.ts";

const VERSION = "24.10.0.0";
/** Events may be larger than what a writer may send at once. */
const MESSAGE_BYTES_MAX = 17 * 1024 * 1024;

type Done = sendUnaryData<unknown>;

/** The server as its clients know it, over what it has stored. It can go away and come back at its port. */
export function openGrpcServer(store: StoredStreams) {
  const faults = openFaults();
  const subscriptions = openSubscriptions(store);
  const counted = { appends: 0, stored: 0, known: 0, refused: 0, reads: 0, subscriptions: 0 };
  const counts: Counts = { ...counted, openSubscriptions: 0, held: 0, events: 0 };
  const deps = { store, faults, counts, subscriptions };
  let server: Server | undefined;
  let ownPort = 0;

  const unsupported = (_call: unknown, done: Done): void =>
    done(failure(grpc.status.UNIMPLEMENTED, "streams are never deleted here"));

  /** Who asks the nodes for their leader hears of this one, and of the one that it follows. */
  function readGossip(_call: unknown, done: Done): void {
    const { FOLLOWER, LEADER } = gossip.MemberInfo.VNodeState;
    const leader = faults.leader();
    const info = new gossip.ClusterInfo();
    const members = [member("127.0.0.1", ownPort, leader ? FOLLOWER : LEADER)];
    if (leader) members.push(member(leader.host, leader.port, LEADER));
    info.setMembersList(members);
    done(null, info);
  }

  async function listen(port: number): Promise<number> {
    const next = new grpc.Server({ "grpc.max_receive_message_length": MESSAGE_BYTES_MAX });
    next.addService(streamsService, {
      read: reading(deps),
      append: appending(deps),
      batchAppend: batchAppending(deps),
      delete: unsupported,
      tombstone: unsupported,
    });
    next.addService(featuresService, {
      getSupportedMethods: (_call: unknown, done: Done) => done(null, methods()),
    });
    next.addService(gossipService, { read: readGossip });
    ownPort = await bind(next, port);
    server = next;
    return ownPort;
  }

  async function command(asked: Command): Promise<Counts> {
    switch (asked.name) {
      case "count":
        break;
      case "dropSubscriptions":
        subscriptions.drop(asked.how ?? "cancelled");
        break;
      case "writeStatistics":
        store.writeStatistics();
        break;
      case "stopListening":
        server?.forceShutdown();
        server = undefined;
        break;
      case "listen":
        if (!server) await listen(ownPort);
        break;
      default:
        faults.set(asked);
    }
    const now = { openSubscriptions: subscriptions.count(), held: faults.held(), events: store.all.length };
    return { ...counts, ...now };
  }

  return { listen, command };
}

const TRIES_MAX = 20;

/** At the port that was asked for; or at one below those that the system gives to outgoing connections, so
 *  that nobody takes it while the server is away. */
async function bind(server: Server, port: number): Promise<number> {
  for (let tries = 1; ; tries++) {
    const wished = port === 0 ? 20_000 + Math.floor(Math.random() * 12_000) : port;
    const bound = await new Promise<number | Error>((resolve) => {
      const done = (error: Error | null, at: number) => resolve(error ?? at);
      server.bindAsync(`127.0.0.1:${wished}`, grpc.ServerCredentials.createInsecure(), done);
    });
    if (typeof bound === "number") return bound;
    if (tries === TRIES_MAX) throw bound;
    await new Promise((resolve) => setTimeout(resolve, port === 0 ? 0 : 50)); // What it had is freed soon.
  }
}

function member(host: string, port: number, state: 6 | 8) {
  const info = new gossip.MemberInfo();
  const endpoint = new gossip.EndPoint();
  endpoint.setAddress(host);
  endpoint.setPort(port);
  info.setHttpEndPoint(endpoint);
  info.setState(state);
  info.setIsAlive(true);
  return info;
}

/** What a client may use; one that finds no `batchappend` appends one call at a time. */
function methods() {
  const answer = new features.SupportedMethods();
  answer.setEventStoreServerVersion(VERSION);
  const names: Record<string, readonly string[]> = {
    "event_store.client.streams.Streams": ["append", "batchappend", "read"],
    "event_store.client.gossip.Gossip": ["read"],
    "event_store.client.server_features.ServerFeatures": ["getsupportedmethods"],
  };
  const list = Object.entries(names).flatMap(([service, methods]) =>
    methods.map((name) => {
      const method = new features.SupportedMethod();
      method.setServiceName(service);
      method.setMethodName(name);
      if (name === "read") method.setFeaturesList(["position", "events"]);
      return method;
    }),
  );
  answer.setMethodsList(list);
  return answer;
}
