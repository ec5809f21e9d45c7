import got, { HTTPError } from "got";

/** How one request is asked: what is sent, and the id that makes it safe to send it again. */
export type Ask = { body?: unknown; commandId?: string };

export type Api = ReturnType<typeof openApi>;

const PATIENCE_MS = 20_000;
const ONE_ANSWER_MS = 40_000;
const PAUSE_MS = 100;
const PAUSE_MS_MAX = 1000;

/** What is worth sending again: the server is full of work, stopping, or away. */
const PASSING_STATUSES = [429, 500, 502, 503, 504];

/** Speaks with the ledger over HTTP. A request whose answer is lost is sent again, under the same
 *  `Idempotency-Key`, until it is answered: that is all it takes to survive the server's death. */
export function openApi(url: string, key: string) {
  const counts = { retried: 0, replayed: 0 };
  const client = got.extend({
    headers: { authorization: `Bearer ${key}` },
    timeout: { request: ONE_ANSWER_MS },
    hooks: { beforeRetry: [() => void counts.retried++] },
  });

  async function call<Answer>(method: "GET" | "POST", path: string, ask: Ask = {}): Promise<Answer> {
    const untilMs = Date.now() + PATIENCE_MS;
    const response = await client<Answer>(`${url}${path}`, {
      method,
      responseType: "json",
      ...(ask.body === undefined ? {} : { json: ask.body }),
      ...(ask.commandId === undefined ? {} : { headers: { "idempotency-key": ask.commandId } }),
      retry: {
        limit: Number.POSITIVE_INFINITY,
        methods: [method],
        statusCodes: PASSING_STATUSES,
        // Got says 0 where it is not worth it; how long we wait is ours.
        calculateDelay: ({ attemptCount, computedValue }) =>
          computedValue === 0 || Date.now() > untilMs
            ? 0
            : Math.min(PAUSE_MS * 2 ** (attemptCount - 1), PAUSE_MS_MAX),
      },
    }).catch((error: Error) => {
      const said = error instanceof HTTPError ? `: ${JSON.stringify(error.response.body)}` : "";
      throw new Error(`${method} ${path} was not answered well: ${error.message}${said}`, { cause: error });
    });
    if (response.headers["idempotency-replayed"] === "true") counts.replayed++;
    return response.body;
  }

  return {
    get: <Answer>(path: string): Promise<Answer> => call<Answer>("GET", path),
    post: <Answer>(path: string, body: unknown, commandId: string): Promise<Answer> =>
      call<Answer>("POST", path, { body, commandId }),
    /** How often a request was sent again, and how many of the answers were those of the first time. */
    counts: (): Readonly<typeof counts> => counts,
  };
}
