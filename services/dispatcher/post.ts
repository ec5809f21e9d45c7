import { type ClientRequest, Agent as HttpAgent, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Socket } from "node:net";
import got, { type Response, TimeoutError } from "got";
import { type AllowList, checkTarget, isAllowed } from "../../shared/webhooks/targets.ts";
import { BlockedTarget, vettedLookup } from "./lookup.ts";

export type PostRequest = { url: string; headers: Record<string, string>; body: Buffer };

export type OutcomeClass =
  | "delivered"
  | "http_error"
  | "timeout_connect"
  | "timeout_headers"
  | "timeout_body"
  | "dns"
  | "tls"
  | "refused"
  | "reset"
  | "blocked"
  | "unknown";

/** What became of one attempt. The status decides: a 2xx is delivered however long its body is, as long as it ends in time. */
export type Outcome = {
  outcome: OutcomeClass;
  httpStatus?: number;
  /** The header as it came. */
  retryAfter?: string;
  durationMs: number;
  /** The beginning of the response's body, as text. */
  excerpt?: string;
};

export type PosterOptions = {
  allow: AllowList;
  /** Connections kept, in total and for one origin. */
  socketsMax: number;
  socketsPerOriginMax: number;
  /** In tests, shorter ones. */
  timeouts?: Partial<typeof TIMEOUTS_MS>;
};

/** Milliseconds; `total` counts from the first step to the last byte of the response's body. */
const TIMEOUTS_MS = { lookup: 5_000, connect: 5_000, secureConnect: 5_000, response: 15_000, total: 20_000 };
const EXCERPT_BYTES = 16 * 1024;
/** What is read of a body before its connection is cut. */
const READ_BYTES_MAX = 64 * 1024;

/** Posts webhooks: one bounded attempt each, with everything said aloud. Retries belong to the ledger, where people see them. */
export function openPoster({ allow, socketsMax, socketsPerOriginMax, timeouts }: PosterOptions) {
  const limits = { ...TIMEOUTS_MS, ...timeouts };
  const sockets = {
    keepAlive: true,
    maxSockets: socketsPerOriginMax,
    maxTotalSockets: socketsMax,
    scheduling: "lifo",
  } as const;
  const agent = { http: new HttpAgent(sockets), https: new HttpsAgent(sockets) };
  const client = got.extend({
    method: "POST",
    agent,
    retry: { limit: 0 },
    followRedirect: false,
    throwHttpErrors: false,
    decompress: false,
    http2: false,
    cache: false,
    dnsCache: false,
    responseType: "buffer",
    headers: { "accept-encoding": "identity", "user-agent": "Runledger-Webhooks/1" },
    timeout: {
      lookup: limits.lookup,
      connect: limits.connect,
      secureConnect: limits.secureConnect,
      response: limits.response,
      request: limits.total,
    },
  });
  const lookups = { http: vettedLookup(allow, true), https: vettedLookup(allow, false) };

  async function once(
    target: URL,
    request: PostRequest,
    insecure: boolean,
    signal: AbortSignal | undefined,
    seen: Seen,
  ): Promise<Outcome> {
    const startMs = performance.now();
    const elapsed = () => performance.now() - startMs;
    const sending = client(target, {
      headers: request.headers,
      body: request.body,
      dnsLookup: (insecure ? lookups.http : lookups.https) as never,
      ...(signal ? { signal } : {}),
    });
    sending.on("request", (made: ClientRequest) => watch(made, allow, seen));
    sending.on("downloadProgress", ({ transferred }: { transferred: number }) => {
      if (transferred <= READ_BYTES_MAX || !seen.response) return;
      seen.cut = true;
      seen.response.destroy();
    });
    try {
      const response = await sending;
      return said(response, response.rawBody, elapsed());
    } catch (error) {
      return failed(error as Error, seen, elapsed());
    }
  }

  return {
    /** One attempt. A kept connection that the receiver closed as we wrote to it is no answer of the receiver's: then it is
     *  written once more, over a new one. */
    async post(request: PostRequest, signal?: AbortSignal): Promise<Outcome> {
      const target = checkTarget(request.url, allow);
      if ("reason" in target) return { outcome: "blocked", durationMs: 0 };
      const seen: Seen = {};
      const outcome = await once(target.url, request, target.insecure, signal, seen);
      if (outcome.outcome !== "reset" || !seen.reused || seen.response) return outcome;
      const again = await once(target.url, request, target.insecure, signal, {});
      return { ...again, durationMs: again.durationMs + outcome.durationMs };
    },
    close(): void {
      agent.http.destroy();
      agent.https.destroy();
    },
  };
}

export type Poster = ReturnType<typeof openPoster>;

/** What was seen of one request on its way. */
type Seen = {
  response?: IncomingMessage;
  /** Whether we cut its body: it was longer than we read. */
  cut?: boolean;
  reused?: boolean;
  blocked?: boolean;
  connected?: boolean;
};

function watch(request: ClientRequest, allow: AllowList, seen: Seen): void {
  request.once("socket", (socket: Socket) => {
    seen.reused = request.reusedSocket;
    const check = () => {
      seen.connected = true;
      // The last word on where we are connected to, whatever was resolved.
      if (socket.remoteAddress !== undefined && !isAllowed(socket.remoteAddress, allow)) {
        seen.blocked = true;
        request.destroy(new BlockedTarget("connected to an address that is not public"));
      }
    };
    if (socket.connecting) socket.once("connect", check);
    else check();
  });
  request.once("response", (response: IncomingMessage) => {
    seen.response = response;
  });
}

function said(
  response: Response<unknown> | IncomingMessage,
  body: Uint8Array | undefined,
  durationMs: number,
): Outcome {
  const httpStatus = response.statusCode ?? 0;
  const retryAfter = response.headers["retry-after"];
  const excerpt = body ? Buffer.from(body.subarray(0, EXCERPT_BYTES)).toString("utf8").toWellFormed() : "";
  return {
    outcome: httpStatus >= 200 && httpStatus <= 299 ? "delivered" : "http_error",
    httpStatus,
    durationMs,
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(excerpt === "" ? {} : { excerpt }),
  };
}

const TLS = /^(?:ERR_TLS|ERR_SSL|CERT_|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|EPROTO)/;

/** The class of what went wrong. Codes are Node's and got's; messages are nobody's contract. */
function failed(error: Error & { code?: string }, seen: Seen, durationMs: number): Outcome {
  const { response } = seen;
  // Its status has been read, and that decides.
  if (response && seen.cut) return said(response, undefined, durationMs);
  const because = (outcome: OutcomeClass): Outcome => {
    const httpStatus = response?.statusCode;
    return httpStatus === undefined ? { outcome, durationMs } : { outcome, durationMs, httpStatus };
  };
  const code = (error.cause as { code?: string } | undefined)?.code ?? error.code ?? "";
  if (seen.blocked || code === "EBLOCKED") return because("blocked");
  if (error instanceof TimeoutError) {
    if (error.event === "lookup") return because("dns");
    if (response) return because("timeout_body");
    return because(
      error.event === "response" || (error.event === "request" && seen.connected)
        ? "timeout_headers"
        : "timeout_connect",
    );
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN" || code === "ENODATA") return because("dns");
  if (code === "ECONNREFUSED") return because("refused");
  if (code === "ETIMEDOUT" || code === "EHOSTUNREACH" || code === "ENETUNREACH")
    return because("timeout_connect");
  if (TLS.test(code)) return because("tls");
  if (code === "ECONNRESET" || code === "EPIPE" || code === "ERR_READING_RESPONSE_STREAM")
    return because("reset");
  return because("unknown");
}
