import type { Agent, ClientRequestArgs } from "node:http";
import { type LookupFunction, Socket } from "node:net";
import { targetName } from "./targets.ts";
import type { Tunnels } from "./tunnels.ts";

type Terms = {
  isSecure: boolean;
  lookup: LookupFunction;
  mayCall(address: string): boolean;
  /** A way stands, and what is to be sent can be. */
  onOpen(socket: Socket): void;
  /** There is none: this stands for it, and is about to end. */
  onFailed(dead: Socket): void;
};

/** Has an agent connect through tunnels, and speak TLS inside where that is to be spoken. It goes on
 *  counting: one that is not there yet takes its place, and one that fails makes room for whoever waits. */
export function connectThrough(agent: Agent, tunnels: Tunnels, terms: Terms): void {
  const { isSecure, lookup, mayCall } = terms;
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (to, callback) => {
    const leave = takePlace(agent, to);
    const [host, port] = [to.host ?? "", Number(to.port)];
    tunnels.open({ target: targetName(host, port), host, port, lookup, mayCall }).then(
      (tunnel) => {
        leave();
        // What ends a connection through TLS is in its own words there.
        const inside: ClientRequestArgs & { socket: Socket } = { ...to, socket: tunnel };
        const socket = isSecure ? connect(inside) : tunnel;
        if (!(socket instanceof Socket)) throw new Error("an agent that makes no sockets");
        terms.onOpen(socket);
        callback?.(null, socket);
      },
      (error: Error) => {
        leave();
        // An agent that is told of an error leaves those alone who wait; one whose socket ends does not.
        const dead = new Socket();
        dead.on("error", () => {});
        terms.onFailed(dead);
        callback?.(null, dead);
        dead.destroy(error);
      },
    );
    return undefined;
  };
}

/** Agents count what they were given, and not what they wait for. */
function takePlace(agent: Agent, to: ClientRequestArgs): () => void {
  const place = new Socket();
  // The types know the list for one to be read; the agent itself makes it where there is none.
  const sockets = agent.sockets as NodeJS.Dict<Socket[]>;
  const name = agent.getName(to);
  sockets[name] ??= [];
  sockets[name].push(place);
  return () => {
    const at = sockets[name]?.indexOf(place) ?? -1;
    if (at >= 0) sockets[name]?.splice(at, 1);
    place.destroy();
  };
}
