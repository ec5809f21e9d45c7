import type { Agent, ClientRequest } from "node:http";
import { request as requestHttps } from "node:https";
import type { Socket } from "node:net";
import { defaultPolicy } from "../../shared/domain/endpoint/defaults.ts";
import { request as requestHttp } from "../../shared/platform/http.ts";
import { version } from "../../shared/platform/version.ts";
import { openAnswer } from "./answer.ts";
import { type ConnectionOptions, type Connections, openConnections } from "./connections.ts";
import { TookTooLong } from "./lookup.ts";
import { answered, failed, type Outcome } from "./outcome.ts";
import { type Progress, tellProgress } from "./progress.ts";
import { openTargets, type Target } from "./targets.ts";

export type PostRequest = {
  url: string;
  headers: Record<string, string>;
  body: Buffer;
  /** From the first step to the last byte of the response's body; 20 seconds unless it says otherwise. */
  timeoutMs?: number;
  /** What it is an attempt of; for whoever tells of it, nothing of it is sent. */
  about?: {
    delivery: string;
    endpoint: string;
    run: string;
    type: string;
    attempt: number;
    workspace: string | null;
    /** The request that recorded the event. */
    requestId: string | null;
  };
  /** Told of each step to an answer as it is done. */
  onPhase?: (phase: Progress) => void;
};

export type PosterOptions = ConnectionOptions & {
  /** Told of each connection that a request can be sent over: whether one was before. */
  onConnected?: (isReused: boolean) => void;
  /** In tests, shorter ones. */
  timeouts?: Partial<Timeouts>;
};

type Timeouts = Record<"lookup" | "connect" | "secureConnect" | "response" | "total", number>;

/** Milliseconds. `response` counts from where the connection stands to the end of the headers, `total` from
 *  the first step to the last byte of the response's body. */
const TIMEOUTS_MS: Timeouts = {
  lookup: 5_000,
  connect: 5_000,
  secureConnect: 5_000,
  response: 15_000,
  total: defaultPolicy.timeoutMs,
};

const fixedHeaders = ["accept-encoding", "identity", "user-agent", `Runledger/${version}`];

/** Posts webhooks: one bounded attempt each, with everything said aloud. Retries belong to the ledger,
 *  where people see them; but what a kept connection does to us is no answer of the receiver's, so that is
 *  tried once more over a new one.
 *
 *  It stands on node:http (`npm run bench -- http-clients`): got takes five times the processor time. undici
 *  takes half, but fails where a receiver says `100 Continue` unasked, and runs WebAssembly, which can end
 *  the process of whoever has worker threads beside it. */
export function openPoster(options: PosterOptions) {
  const timeouts = { ...TIMEOUTS_MS, ...options.timeouts };
  const { lookup, connect, secureConnect } = timeouts;
  const connections = openConnections(options, { lookup, connect, handshake: secureConnect });
  const targetOf = openTargets(options.allow);
  /** How many bytes a kept connection had received when it was last given back. */
  const receivedBefore = new WeakMap<Socket, number>();
  const cutsOf = openCuts();

  return {
    async post(request: PostRequest, signal?: AbortSignal): Promise<Outcome> {
      const startMs = performance.now();
      const target = targetOf(request.url);
      if (!target) return { outcome: "blocked", durationMs: 0 };
      const sending: Sending = {
        target,
        request,
        startMs,
        totalMs: request.timeoutMs ?? timeouts.total,
        responseMs: timeouts.response,
        connections,
        receivedBefore,
        ...(options.onConnected ? { onConnected: options.onConnected } : {}),
        ...(signal ? { signal, cuts: cutsOf(signal) } : {}),
      };
      const first = await send(connections.kept, sending, "keep-alive");
      if (first !== "connection_lost") return first;
      const second = await send(connections.fresh, sending, "close");
      return second === "connection_lost"
        ? { outcome: "reset", durationMs: performance.now() - startMs }
        : second;
    },
    /** Until when nothing is to be sent there, because the proxy does not let us through: epoch milliseconds,
     *  0 for now. */
    heldUntilMs(url: string): number {
      const target = targetOf(url);
      return target ? connections.heldUntilMs(target.name) : 0;
    },
    close: (): void => connections.close(),
  };
}

export type Poster = ReturnType<typeof openPoster>;

/** Those under way whom a signal cuts short: one listener for them all, as adding one for each would take a
 *  fifth of what a post takes. */
function openCuts() {
  const known = new WeakMap<AbortSignal, Set<() => void>>();
  return (signal: AbortSignal): Set<() => void> => {
    let cuts = known.get(signal);
    if (cuts) return cuts;
    cuts = new Set();
    known.set(signal, cuts);
    const all = cuts;
    const cutAll = () => {
      for (const cut of all) cut();
    };
    signal.addEventListener("abort", cutAll, { once: true });
    return cuts;
  };
}

type Sending = {
  target: Target;
  request: PostRequest;
  startMs: number;
  totalMs: number;
  responseMs: number;
  connections: Connections;
  receivedBefore: WeakMap<Socket, number>;
  onConnected?: (isReused: boolean) => void;
  signal?: AbortSignal;
  cuts?: Set<() => void>;
};

type Agents = { http: Agent; https: Agent };

/** Sends once. A body that is longer than we read is cut off, and then the status alone decides; one that
 *  does not end in time was no answer. */
function send(agents: Agents, sending: Sending, connection: string): Promise<Outcome | "connection_lost"> {
  return new Promise((resolve) => {
    const { connections, receivedBefore, signal, cuts, startMs, target, request } = sending;
    const { name } = target;
    const answer = openAnswer();
    const sent = open(agents, sending, connection);
    let socket: Socket | undefined;

    const settle = (outcome: Outcome | "connection_lost") => {
      clocks.stop();
      cuts?.delete(cut);
      // What was answered before all was sent is all that there is to say.
      if (!sent.writableFinished) sent.destroy();
      resolve(outcome);
    };
    const end = () => settle(answered(answer.soFar(), performance.now() - startMs));
    // It stays on: what goes wrong after the end is nobody's fault, and must not end the process.
    const fail = (error: Error) => {
      answer.drain();
      const phase = connections.phaseOf(socket);
      const outcome = failed(error, phase, answer.soFar(), performance.now() - startMs);
      const isLost = sent.reusedSocket && socket && socket.bytesRead === receivedBefore.get(socket);
      settle(outcome.outcome === "reset" && isLost ? "connection_lost" : outcome);
    };
    const stop = (error: Error) => {
      fail(error);
      sent.destroy();
    };
    const connected = () => {
      sending.onConnected?.(sent.reusedSocket);
      clocks.connected();
    };
    const cut = () => stop(new Error("the sender stops"));
    const tooLate = () =>
      stop((!socket && connections.late(name)) || new TookTooLong("the receiver took too long"));
    const clocks = openClocks(sending, tooLate);

    cuts?.add(cut);
    sent.on("error", fail);
    sent.once("socket", (given) => {
      socket = given;
      if (request.onPhase && !sent.reusedSocket)
        tellProgress(given, connections.phaseOf(given), target, request.onPhase);
      if (connections.phaseOf(given) === "open") connected();
      else given.once(target.isSecure ? "secureConnect" : "connect", connected);
    });
    sent.once("response", (response) => {
      clocks.responded();
      connections.proven(name);
      request.onPhase?.("headers");
      response.on("error", fail);
      answer.begin(response, () => {
        end();
        sent.destroy();
      });
      response.once("end", () => {
        if (socket) receivedBefore.set(socket, socket.bytesRead);
        end();
      });
    });
    // An answer that leaves HTTP has no end.
    sent.once("upgrade", (_response, left) => {
      stop(new Error("the receiver changed the protocol"));
      left.destroy();
    });
    if (signal?.aborted) cut();
    else sent.end(request.body);
  });
}

/** The request, with nothing sent of it yet. All headers in one list: Node then makes none of its own, and
 *  takes less time. */
function open(agents: Agents, { target, request }: Sending, connection: string): ClientRequest {
  const { isSecure, host, to } = target;
  const headers = ["host", host, "connection", connection, ...fixedHeaders];
  for (const name in request.headers) headers.push(name, request.headers[name] ?? "");
  headers.push("content-length", `${request.body.length}`);
  return isSecure
    ? requestHttps({ ...to, agent: agents.https, headers })
    : requestHttp({ ...to, agent: agents.http, headers });
}

/** All the time there is, and that until the headers have come. */
function openClocks({ startMs, totalMs, responseMs }: Sending, onLate: () => void) {
  const all = setTimeout(onLate, Math.max(startMs + totalMs - performance.now(), 1));
  let headers: NodeJS.Timeout | undefined;
  return {
    connected(): void {
      headers = setTimeout(onLate, responseMs);
    },
    responded: (): void => clearTimeout(headers),
    stop(): void {
      clearTimeout(all);
      clearTimeout(headers);
    },
  };
}
