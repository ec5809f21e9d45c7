import { Agent, type OutgoingHttpHeaders, request } from "node:http";
import got from "got";
import { Pool } from "undici";
import { openPoster } from "../../services/dispatcher/post.ts";
import { parseAllowList } from "../../shared/webhooks/targets.ts";
import { cpuSeconds } from "./processes.ts";

/** What posting costs that keeps nothing: the same bytes over kept connections, by one client or another. */
export type ClientJob = {
  client: keyof typeof clients;
  urls: readonly string[];
  headers: Record<string, string>;
  body: string;
  inFlight: number;
  ms: number;
};
export type ClientDone = { perSecond: number; cpuSecondsPer1000: number };

type Post = (url: string, headers: Record<string, string>, body: Buffer) => Promise<unknown>;
type Client = { post: Post; close(): unknown };

const TOTAL_MS = 20_000;
const RESPONSE_MS = 15_000;
const allow = parseAllowList(["127.0.0.0/8"]);

const clients = {
  /** The dispatcher's own, with all that it guards against. */
  poster: (inFlight): Client => {
    const poster = openPoster({ allow, socketsMax: 2 * inFlight, socketsPerOriginMax: inFlight });
    const { signal } = new AbortController();
    const post: Post = async (url, headers, body) => {
      const { outcome } = await poster.post({ url, headers, body }, signal);
      if (outcome !== "delivered") throw new Error(outcome);
    };
    return { post, close: poster.close };
  },
  got: (inFlight): Client => {
    const agent = { http: new Agent({ keepAlive: true, maxSockets: inFlight }) };
    const timeout = { response: RESPONSE_MS, request: TOTAL_MS };
    const retry = { limit: 0 };
    const client = got.extend({ retry, timeout, agent, followRedirect: false, throwHttpErrors: false });
    return {
      post: (url, headers, body) => client.post(url, { headers, body }),
      close: () => agent.http.destroy(),
    };
  },
  undici: (inFlight): Client => {
    const pools = new Map<string, Pool>();
    const poolOf = (origin: string) => {
      const pool = pools.get(origin) ?? new Pool(origin, { connections: inFlight });
      pools.set(origin, pool);
      return pool;
    };
    const timeouts = { headersTimeout: RESPONSE_MS, bodyTimeout: TOTAL_MS };
    return {
      async post(url, headers, body) {
        const { origin, pathname: path } = new URL(url);
        const answer = await poolOf(origin).request({ ...timeouts, path, method: "POST", headers, body });
        await answer.body.dump();
      },
      close: () => Promise.all([...pools.values()].map((pool) => pool.destroy())),
    };
  },
  http: (inFlight): Client => {
    const agent = new Agent({ keepAlive: true, maxSockets: inFlight });
    return {
      post: (url, headers, body) =>
        postByHttp(agent, url, { ...headers, "content-length": body.length }, body),
      close: () => agent.destroy(),
    };
  },
} satisfies Record<string, (inFlight: number) => Client>;

function postByHttp(agent: Agent, url: string, headers: OutgoingHttpHeaders, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: "POST", agent, headers });
    const late = setTimeout(() => sent.destroy(), TOTAL_MS);
    sent.once("error", reject);
    sent.once("response", (response) => {
      response.resume();
      response.once("end", () => {
        clearTimeout(late);
        resolve();
      });
    });
    sent.end(body);
  });
}

async function run({ client, urls, headers, body, inFlight, ms }: ClientJob): Promise<ClientDone> {
  const { post, close } = clients[client](inFlight);
  const bytes = Buffer.from(body, "latin1");
  const endMs = performance.now() + ms;
  let posted = 0;
  const drive = async (_: unknown, lane: number) => {
    const url = urls[lane % urls.length] ?? "";
    for (; performance.now() < endMs; posted++) await post(url, headers, bytes);
  };
  const startMs = performance.now();
  const before = cpuSeconds(process.pid).all;
  await Promise.all(Array.from({ length: inFlight }, drive));
  const seconds = (performance.now() - startMs) / 1000;
  const used = cpuSeconds(process.pid).all - before;
  await close();
  return { perSecond: posted / seconds, cpuSecondsPer1000: (used / posted) * 1000 };
}

process.on("message", (job: ClientJob) => void run(job).then((done) => process.send?.(done)));
process.once("disconnect", () => process.exit(0));
