import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import got, { type Got, type RequestError } from "got";
import { version } from "../../shared/platform/version.ts";
import { checkTarget } from "../../shared/webhooks/targets.ts";
import { type ConnectionOptions, openConnections } from "./connections.ts";
import { type Answer, answered, failed, type Outcome } from "./outcome.ts";

export type PostRequest = { url: string; headers: Record<string, string>; body: Buffer };

export type PosterOptions = ConnectionOptions & {
  /** In tests, shorter ones. */
  timeouts?: Partial<typeof TIMEOUTS_MS>;
};

/** Milliseconds. `total` counts from the first step to the last byte of the response's body. */
const TIMEOUTS_MS = { lookup: 5_000, connect: 5_000, secureConnect: 5_000, response: 15_000, total: 20_000 };
const EXCERPT_BYTES = 16 * 1024;
/** What is read of a response's body before the connection is cut. */
const READ_BYTES_MAX = 64 * 1024;
const HEADER_BYTES_MAX = 16 * 1024;

/** Posts webhooks: one bounded attempt each, with everything said aloud. Retries belong to the ledger,
 *  where people see them; but what a kept connection does to us is no answer of the receiver's, so that is
 *  tried once more over a new one. */
export function openPoster(options: PosterOptions) {
  const timeouts = { ...TIMEOUTS_MS, ...options.timeouts };
  const connections = openConnections(options);
  const client = openClient(timeouts);
  const kept = client.extend({ agent: connections.kept });
  const fresh = client.extend({ agent: connections.fresh });
  /** How many bytes a kept connection had received when it was last given back. */
  const receivedBefore = new WeakMap<Socket, number>();

  return {
    async post(request: PostRequest, signal?: AbortSignal): Promise<Outcome> {
      const startMs = performance.now();
      const target = checkTarget(request.url, options.allow);
      if (!target.ok) return { outcome: "blocked", durationMs: 0 };
      const sending: Sending = {
        url: target.url,
        request,
        startMs,
        receivedBefore,
        ...(signal ? { signal } : {}),
      };
      const first = await send(kept, sending);
      if (first !== "connection_lost") return first;
      const restMs = timeouts.total - (performance.now() - startMs);
      const second = await send(fresh.extend({ timeout: { request: Math.max(restMs, 1) } }), sending);
      return second === "connection_lost"
        ? { outcome: "reset", durationMs: performance.now() - startMs }
        : second;
    },
    close: (): void => connections.close(),
  };
}

export type Poster = ReturnType<typeof openPoster>;

/** Made once: got spends most of its time on options. */
const openClient = (timeouts: typeof TIMEOUTS_MS): Got =>
  got.extend({
    method: "POST",
    retry: { limit: 0 },
    followRedirect: false,
    throwHttpErrors: false,
    decompress: false,
    http2: false,
    cache: false,
    dnsCache: false,
    maxHeaderSize: HEADER_BYTES_MAX,
    headers: { "accept-encoding": "identity", "user-agent": `Runledger/${version}` },
    timeout: {
      lookup: timeouts.lookup,
      connect: timeouts.connect,
      secureConnect: timeouts.secureConnect,
      response: timeouts.response,
      request: timeouts.total,
    },
  });

type Sending = {
  url: URL;
  request: PostRequest;
  startMs: number;
  receivedBefore: WeakMap<Socket, number>;
  signal?: AbortSignal;
};

/** Sends once. A body that is longer than we read is cut off, and then the status alone decides; one that
 *  does not end in time was no answer. As a stream, so that we stop where we want; got's promises are no
 *  faster. */
function send(client: Got, { url, request, startMs, receivedBefore, signal }: Sending) {
  return new Promise<Outcome | "connection_lost">((resolve) => {
    const { headers, body } = request;
    // Written and not handed over: got would cut the connection to whoever answers before it has said that it
    // is done.
    const stream = client.stream(url, { headers: { ...headers, "content-length": `${body.length}` } });
    stream.end(body);
    const chunks: Buffer[] = [];
    let response: IncomingMessage | undefined;
    let socket: Socket | undefined;
    let receivedBytes = 0;

    const answer = (): Answer => ({ excerpt: excerptOf(chunks), ...(response ? { response } : {}) });
    const settle = (outcome: Outcome | "connection_lost") => {
      signal?.removeEventListener("abort", cut);
      resolve(outcome);
    };
    const end = () => settle(answered(answer(), performance.now() - startMs));
    // Not got's own option: of a request whose answer comes quickly it forgets to stop listening.
    const cut = () => stream.destroy(Object.assign(new Error("the sender stops"), { code: "ERR_CANCELED" }));
    signal?.addEventListener("abort", cut, { once: true });
    if (signal?.aborted) cut();

    stream.once("response", (received: IncomingMessage) => {
      response = received;
      socket = received.socket; // The response has none any more once it was given back.
    });
    stream.on("data", (chunk: Buffer) => {
      if (receivedBytes < EXCERPT_BYTES) chunks.push(chunk);
      receivedBytes += chunk.length;
      if (receivedBytes <= READ_BYTES_MAX) return;
      end();
      stream.destroy();
    });
    stream.once("end", () => {
      if (socket) receivedBefore.set(socket, socket.bytesRead);
      end();
    });
    // It stays on: what goes wrong after the end is nobody's fault, and must not end the process.
    stream.on("error", (raised: RequestError) => {
      // An error of writing comes as it is, without what got knows of the request.
      const error = Object.assign(raised, { timings: raised.timings ?? stream.timings });
      const outcome = failed(error, answer(), url.protocol === "https:", performance.now() - startMs);
      const used = stream.reusedSocket ? stream.socket : undefined;
      const isLost = used !== undefined && used.bytesRead === receivedBefore.get(used);
      settle(outcome.outcome === "reset" && isLost ? "connection_lost" : outcome);
    });
    // An answer that leaves HTTP has no end.
    stream.once("upgrade", () => stream.destroy(new Error("the receiver changed the protocol")));
  });
}

/** As text: bytes that are none are replaced, and a character that is cut in two at the end is left out. */
function excerptOf(chunks: readonly Buffer[]): string {
  if (chunks.length === 0) return "";
  const bytes = Buffer.concat(chunks).subarray(0, EXCERPT_BYTES);
  return new TextDecoder().decode(bytes, { stream: true });
}
