import type { AgentOptions } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { isIP, Socket } from "node:net";
import { Agent as HttpAgent } from "../../shared/platform/http.ts";
import { type AllowList, mayCall } from "../../shared/webhooks/targets.ts";
import { BlockedTarget, type Resolve, TookTooLong, vettedLookup } from "./lookup.ts";
import { openProxyFaults, type ProxyFailed } from "./proxy-faults.ts";
import { connectThrough } from "./tunnelled.ts";
import { openTunnels, type WebhookProxy } from "./tunnels.ts";

export type ConnectionOptions = {
  allow: AllowList;
  /** Connections kept open, over all origins. One in use is never closed for another. */
  socketsMax: number;
  socketsPerOriginMax: number;
  /** Told of every connection that is opened to a receiver. */
  onOpened?: () => void;
  /** What stands between us and every receiver. */
  proxy?: WebhookProxy & {
    now(): number;
    /** Told of each failure that is not a receiver's. */
    onFailed(error: ProxyFailed): void;
  };
  /** In tests, another way to resolve names. */
  resolve?: Resolve;
};

/** How far a connection has come; a request that has none yet waits for it. */
export type Phase = "waiting" | "lookup" | "connect" | "handshake" | "open";

/** How long each step to a connection may take, in milliseconds. */
export type PhaseTimeouts = { lookup: number; connect: number; handshake: number };

/** How long a connection that nobody uses is kept, unless the receiver announces less. */
const IDLE_MS = 30_000;

/** Connections only to where webhooks may go: their names are vetted as they are resolved, and their
 *  addresses once more when they stand. `kept` are used again, `fresh` once. No proxy stands in between but
 *  the one that is named here, whatever the environment says. */
export function openConnections(options: ConnectionOptions, timeouts: PhaseTimeouts) {
  const { allow, socketsMax, socketsPerOriginMax, resolve } = options;
  const phases = new WeakMap<Socket, Phase>();
  let open = 0;
  const shared: AgentOptions = {
    maxSockets: socketsPerOriginMax,
    scheduling: "lifo", // The most recently used is the least likely to have been closed meanwhile.
    proxyEnv: {},
  };
  const kept = { ...shared, keepAlive: true, timeout: IDLE_MS };
  const fresh = { ...shared, keepAlive: false };
  const lookup = (protocol: string) => vettedLookup((address) => mayCall(address, protocol, allow), resolve);
  const plain = { lookup: lookup("http:") };
  const secure = { lookup: lookup("https:"), rejectUnauthorized: true };
  const faults = options.proxy && openProxyFaults(options.proxy);
  const tunnels =
    options.proxy &&
    faults &&
    openTunnels({
      proxy: options.proxy,
      faults,
      timeouts,
      onSocket(socket) {
        makeRoom();
        count(socket);
      },
    });
  const agents = {
    kept: {
      http: guard(new HttpAgent({ ...kept, ...plain }), "http:"),
      https: guard(new HttpsAgent({ ...kept, ...secure }), "https:"),
    },
    fresh: {
      http: guard(new HttpAgent({ ...fresh, ...plain }), "http:"),
      https: guard(new HttpsAgent({ ...fresh, ...secure }), "https:"),
    },
  };

  function guard<Kind extends InstanceType<typeof HttpAgent>>(agent: Kind, protocol: string): Kind {
    const isSecure = protocol === "https:";
    if (tunnels) {
      connectThrough(agent, tunnels, {
        isSecure,
        lookup: lookup(protocol),
        mayCall: (address) => mayCall(address, protocol, allow),
        onOpen(socket) {
          options.onOpened?.();
          time(socket, isSecure ? "handshake" : "open", isSecure);
        },
        onFailed: (dead) => phases.set(dead, "lookup"),
      });
      return agent;
    }
    const connect = agent.createConnection.bind(agent);
    agent.createConnection = (to, callback) => {
      makeRoom();
      const socket = connect(to, callback);
      if (!(socket instanceof Socket)) return socket;
      count(socket);
      options.onOpened?.();
      // The last word on where we are, before the first byte is written.
      socket.once("connect", () => {
        const { remoteAddress } = socket;
        if (remoteAddress === undefined || mayCall(remoteAddress, protocol, allow)) return;
        socket.destroy(new BlockedTarget(`connected to ${remoteAddress}, which may not be called`));
      });
      time(socket, isIP(to.host ?? "") === 0 ? "lookup" : "connect", isSecure);
      return socket;
    };
    return agent;
  }

  function count(socket: Socket): void {
    open++;
    socket.once("close", () => open--);
  }

  /** Each step has a time of its own; one that takes longer is the last. */
  function time(socket: Socket, first: Phase, isSecure: boolean): void {
    let late: NodeJS.Timeout | undefined;
    const enter = (phase: Phase): void => {
      clearTimeout(late);
      if (socket.destroyed) return; // It keeps the step that it ended in.
      phases.set(socket, phase);
      if (phase === "open" || phase === "waiting") return;
      late = setTimeout(() => socket.destroy(new TookTooLong(`${phase} took too long`)), timeouts[phase]);
    };
    enter(first);
    socket.once("lookup", (error: Error | null) => error ?? enter("connect"));
    socket.once("connect", () => enter(isSecure ? "handshake" : "open"));
    socket.once("secureConnect", () => enter("open"));
    socket.once("close", () => clearTimeout(late));
  }

  /** Node keeps idle connections for each origin and lets none of them go for another's sake. The one of an
   *  origin that has had no request for long goes first. */
  function makeRoom(): void {
    if (open < socketsMax) return;
    for (const { freeSockets } of [agents.kept.http, agents.kept.https])
      for (const name in freeSockets)
        for (const socket of freeSockets[name] ?? [])
          if (!socket.destroyed) {
            socket.destroy();
            return;
          }
  }

  return {
    ...agents,
    /** How far a request's connection has come, or had when it ended. */
    phaseOf: (socket: Socket | undefined): Phase => (socket && phases.get(socket)) ?? "waiting",
    /** What is to be said of a request whose time is over before it had a connection, where that is not the
     *  receiver's doing. */
    late: (target: string): Error | undefined => tunnels?.late(target),
    /** An answer came from there. */
    proven: (target: string): void => faults?.proven(target),
    /** Until when nothing is to be sent there, in epoch milliseconds; 0 for now. */
    heldUntilMs: (target: string): number => faults?.heldUntilMs(target) ?? 0,
    close(): void {
      tunnels?.close();
      for (const pair of [agents.kept, agents.fresh]) {
        pair.http.destroy();
        pair.https.destroy();
      }
    },
  };
}

export type Connections = ReturnType<typeof openConnections>;
