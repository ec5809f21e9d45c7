import type { ClientRequest, IncomingMessage } from "node:http";
import { isIP, type LookupFunction, type Socket, connect as socketTo } from "node:net";
import { request } from "../../shared/platform/http.ts";
import { BlockedTarget, TookTooLong } from "./lookup.ts";
import type { ProxyFailed, ProxyFailure, ProxyFaults } from "./proxy-faults.ts";

/** What a proxy is reached by; what it is told of who asks is the whole `Proxy-Authorization`. */
export type WebhookProxy = { host: string; port: number; authorization?: string };

/** How far a way through the proxy has come. */
type Pace = { target: string; step: "lookup" | "connect" | "tunnel" };

/** The proxy lets nobody through, for a reason that is still to be judged. */
class NoWay extends Error {
  readonly failure: ProxyFailure;
  constructor(failure: ProxyFailure, message: string, cause?: unknown) {
    super(message, { cause });
    this.failure = failure;
  }
}

type Options = {
  proxy: WebhookProxy;
  faults: ProxyFaults;
  timeouts: Record<"lookup" | "connect", number>;
  /** Told of each connection to the proxy as it is begun. */
  onSocket(socket: Socket): void;
};

/** Where a tunnel leads: to a name or an address, by way of addresses that were vetted. */
export type Destination = {
  /** What it is called where it is told from others. */
  target: string;
  host: string;
  port: number;
  lookup: LookupFunction;
  mayCall(address: string): boolean;
};

const HEADER_BYTES_MAX = 16 * 1024;
/** Addresses of one name that are tried, one after the other. */
const ADDRESSES_MAX = 3;

const mayBeElsewhere: ReadonlySet<ProxyFailure> = new Set(["failed", "timed_out"]);
const AWAY = "the proxy does not answer";
const SILENT = "the proxy says nothing to CONNECT";

/** Ways to receivers through a proxy that the operator named. It is never asked for a name, nor for an
 *  address that was not vetted here; where the proxy itself is, is the operator's affair. */
export function openTunnels({ proxy, faults, timeouts, onSocket }: Options) {
  const pending = new Set<Pace>();
  const closing = new AbortController();

  async function open(destination: Destination, pace: Pace): Promise<Socket> {
    const { port, mayCall } = destination;
    const addresses = await inTime(addressesOf(destination), timeouts.lookup);
    let first: unknown;
    for (const address of addresses.slice(0, ADDRESSES_MAX)) {
      // The last word on where we are going, before anybody is asked for it.
      if (!mayCall(address)) throw new BlockedTarget(`${address} may not be called`);
      pace.step = "connect";
      try {
        return await through(address, port, pace);
      } catch (error) {
        // What the proxy could not reach at one address may be there at another.
        if (!(error instanceof NoWay) || !mayBeElsewhere.has(error.failure)) throw error;
        first ??= error;
      }
    }
    throw first ?? new BlockedTarget(`${destination.host} has no address`);
  }

  function through(address: string, port: number, pace: Pace): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = socketTo({ host: proxy.host, port: proxy.port });
      onSocket(socket);
      const asking = ask(proxy, authority(address, port), socket);
      const over = () => {
        clearTimeout(late);
        closing.signal.removeEventListener("abort", stop);
      };
      const fail = (error: Error) => {
        over();
        asking.destroy();
        socket.destroy();
        reject(error);
      };
      const stop = () => fail(new Error("the sender stops"));
      const after = (failure: ProxyFailure, message: string) =>
        setTimeout(() => fail(new NoWay(failure, message)), timeouts.connect);
      let late = after("unreachable", AWAY);
      closing.signal.addEventListener("abort", stop, { once: true });
      socket.once("connect", () => {
        clearTimeout(late);
        pace.step = "tunnel";
        late = after("silent", SILENT);
      });
      asking.on("error", (error) => fail(new NoWay(failureBy(error, pace), "the proxy failed", error)));
      asking.once("connect", (response, _socket, head) => {
        const failure = failureIn(response, head);
        if (failure) return fail(new NoWay(failure, `the proxy answered ${response.statusCode} to CONNECT`));
        over();
        // Who uses it hears of what goes wrong by their own means.
        socket.on("error", () => {});
        resolve(socket);
      });
      asking.end();
    });
  }

  return {
    /** A connection to the destination, with nothing said on it yet. Fails as a lookup fails, with a
     *  BlockedTarget, or with a ProxyFailed. */
    async open(destination: Destination): Promise<Socket> {
      const { target } = destination;
      const pace: Pace = { target, step: "lookup" };
      pending.add(pace);
      try {
        const socket = await open(destination, pace);
        faults.proven(target);
        return socket;
      } catch (error) {
        if (error instanceof NoWay) throw faults.failed(target, error.failure, error.message, error.cause);
        throw error;
      } finally {
        pending.delete(pace);
      }
    },
    /** What to say of a request whose time was over before its tunnel stood; undefined where the proxy has no
     *  part in it. */
    late(target: string): ProxyFailed | undefined {
      const steps = [...pending].filter((pace) => pace.target === target).map(({ step }) => step);
      if (steps.includes("connect")) return faults.failed(target, "unreachable", AWAY);
      if (!steps.includes("tunnel")) return undefined;
      return faults.failed(target, "silent", SILENT);
    },
    close: (): void => closing.abort(),
  };
}

export type Tunnels = ReturnType<typeof openTunnels>;

const authority = (address: string, port: number): string =>
  isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;

function ask({ authorization }: WebhookProxy, path: string, socket: Socket): ClientRequest {
  const credentials = authorization === undefined ? [] : ["proxy-authorization", authorization];
  return request({
    method: "CONNECT",
    path,
    maxHeaderSize: HEADER_BYTES_MAX,
    headers: ["host", path, ...credentials],
    createConnection: () => socket,
  });
}

/** Those of the name, all of them vetted; an address stands for itself. */
function addressesOf({ host, lookup }: Destination): Promise<string[]> {
  if (isIP(host) !== 0) return Promise.resolve([host]);
  return new Promise((resolve, reject) => {
    lookup(host, { all: true }, (error, found) => {
      if (error) reject(error);
      else resolve(typeof found === "string" ? [found] : found.map(({ address }) => address));
    });
  });
}

async function inTime<Value>(value: Promise<Value>, ms: number): Promise<Value> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new TookTooLong("lookup took too long")), ms);
  try {
    return await Promise.race([value, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Why an answer to CONNECT is no tunnel. Whoever waits to be asked has nothing to say before. */
function failureIn({ statusCode = 0 }: IncomingMessage, head: Buffer): ProxyFailure | undefined {
  if (statusCode === 407) return "unauthorized";
  if (statusCode === 504) return "timed_out";
  if (statusCode >= 500) return "failed";
  if (statusCode < 200) return "garbage";
  if (statusCode >= 300) return "denied";
  return head.length > 0 ? "garbage" : undefined;
}

function failureBy({ code = "" }: Error & { code?: string }, { step }: Pace): ProxyFailure {
  if (step !== "tunnel") return "unreachable";
  return code.startsWith("HPE_") ? "garbage" : "closed";
}
