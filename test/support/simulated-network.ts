import { hash } from "node:crypto";
import type { Outcome } from "../../services/dispatcher/outcome.ts";
import type { PostRequest } from "../../services/dispatcher/post.ts";
import type { SimulatedClock } from "./simulated-clock.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

/** How a receiver is for a while. */
export type Weather =
  | "fine"
  | "slow"
  | "flaky"
  | "broken"
  | "busy"
  | "refusing"
  | "hanging"
  | "resetting"
  | "aborting"
  | "gone"
  | "disabling";
export type Forecast = readonly { untilMs: number; weather: Weather }[];

/** One request as its receiver saw it. */
export type Sent = {
  process: SimulatedProcess;
  url: string;
  delivery: string;
  replay: string | undefined;
  body: string;
  startMs: number;
  /** When it was over for its receiver: answered, given up, or cut with the process that sent it. */
  endMs: number;
  outcome: Outcome;
};

const SECOND_MS = 1000;
const TIMEOUT_MS = 15 * SECOND_MS;

/** What stands between dispatchers and receivers, and the receivers too. */
export function openSimulatedNetwork(clock: SimulatedClock, random: () => number) {
  const sent: Sent[] = [];
  const forecasts = new Map<string, Forecast>();
  const pick = <One>(...all: readonly One[]): One => all[Math.floor(random() * all.length)] as One;

  const weatherAt = (url: string): Weather =>
    forecasts.get(url)?.find(({ untilMs }) => clock.now() < untilMs)?.weather ?? "fine";

  /** In every form that a receiver may write it, and some that it should not. */
  function retryAfter(): string {
    const seconds = pick(0, 1, 3, 20, 90, 3600);
    const date = new Date(Math.floor((clock.now() + seconds * SECOND_MS) / SECOND_MS) * SECOND_MS);
    return pick(`${seconds}`, `${seconds}.5`, date.toUTCString(), "-5", "soon", "999999999");
  }

  const failing = (outcome: Outcome["outcome"], durationMs: number): Outcome => ({ outcome, durationMs });
  const said = (httpStatus: number, more: Partial<Outcome> = {}): Outcome => ({
    outcome: httpStatus < 300 ? "delivered" : "http_error",
    httpStatus,
    durationMs: pick(1, 3, 20, 300),
    ...more,
  });
  const timeoutOf = ({ timeoutMs }: PostRequest): number => Math.min(timeoutMs ?? TIMEOUT_MS, TIMEOUT_MS);

  const answers: Record<Weather, (request: PostRequest) => Outcome> = {
    fine: () => said(pick(200, 202, 204)),
    slow: (request) => said(200, { durationMs: Math.floor(random() * timeoutOf(request)) }),
    flaky: (request) => answers[pick<Weather>("fine", "fine", "broken", "hanging", "resetting")](request),
    broken: () => said(pick(500, 500, 502, 302, 404), random() < 0.2 ? { retryAfter: retryAfter() } : {}),
    busy: () => said(pick(429, 503), { retryAfter: retryAfter() }),
    refusing: () => said(pick(400, 401, 403, 422)),
    hanging: (request) =>
      failing(pick("timeout_headers", "timeout_body", "timeout_connect"), timeoutOf(request)),
    resetting: () => failing(pick("reset", "refused", "dns", "tls", "unknown", "blocked", "too_large"), 1),
    aborting: () => (random() < 0.5 ? said(500, { directive: "abort" }) : said(200)),
    gone: () => said(410),
    disabling: () => said(pick(200, 500), { directive: "disable" }),
  };

  async function post(process: SimulatedProcess, request: PostRequest): Promise<Outcome> {
    await process.pass("before send");
    const outcome = answers[weatherAt(request.url)](request);
    const one: Sent = {
      process,
      url: request.url,
      delivery: String(request.headers["webhook-id"]),
      replay: request.headers["ledger-replay"],
      body: hash("sha256", request.body),
      startMs: clock.now(),
      endMs: Number.POSITIVE_INFINITY,
      outcome,
    };
    sent.push(one);
    await Promise.race([clock.sleep(outcome.durationMs), process.died]);
    one.endMs = clock.now();
    await process.pass("after send");
    return outcome;
  }

  return {
    sent: sent as readonly Sent[],
    forecast: (url: string, forecast: Forecast) => void forecasts.set(url, forecast),
    postFor: (process: SimulatedProcess) => (request: PostRequest) => post(process, request),
  };
}

export type SimulatedNetwork = ReturnType<typeof openSimulatedNetwork>;
