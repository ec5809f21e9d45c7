import { type AgentOptions, Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { Socket } from "node:net";
import { type AllowList, mayCall } from "../../shared/webhooks/targets.ts";
import { BlockedTarget, type Resolve, vettedLookup } from "./lookup.ts";

export type ConnectionOptions = {
  allow: AllowList;
  /** Connections kept open, over all origins. One in use is never closed for another. */
  socketsMax: number;
  socketsPerOriginMax: number;
  /** In tests, another way to resolve names. */
  resolve?: Resolve;
};

/** How long a connection that nobody uses is kept, unless the receiver announces less. */
const IDLE_MS = 30_000;

/** Connections only to where webhooks may go: their names are vetted as they are resolved, and their
 *  addresses once more when they stand. `kept` are used again, `fresh` once. No proxy stands in between,
 *  whatever the environment says. */
export function openConnections({ allow, socketsMax, socketsPerOriginMax, resolve }: ConnectionOptions) {
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

  function guard<Kind extends HttpAgent>(agent: Kind, protocol: string): Kind {
    const connect = agent.createConnection.bind(agent);
    agent.createConnection = (options, callback) => {
      if (open >= socketsMax) closeIdle();
      const socket = connect(options, callback);
      if (!(socket instanceof Socket)) return socket;
      open++;
      socket.once("close", () => open--);
      // The last word on where we are, before the first byte is written.
      socket.once("connect", () => {
        const { remoteAddress } = socket;
        if (remoteAddress === undefined || mayCall(remoteAddress, protocol, allow)) return;
        socket.destroy(new BlockedTarget(`connected to ${remoteAddress}, which may not be called`));
      });
      return socket;
    };
    return agent;
  }

  /** Node keeps idle connections for each origin and lets none of them go for another's sake. */
  function closeIdle(): void {
    const idle = [agents.kept.http, agents.kept.https].flatMap(({ freeSockets }) =>
      Object.values(freeSockets),
    );
    idle
      .flatMap((sockets) => sockets ?? [])
      .find((socket) => !socket.destroyed)
      ?.destroy();
  }

  return {
    ...agents,
    close(): void {
      for (const pair of [agents.kept, agents.fresh]) {
        pair.http.destroy();
        pair.https.destroy();
      }
    },
  };
}
