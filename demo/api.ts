/** How one request is asked: what is sent, and the id that makes it safe to send it again. */
export type Ask = { body?: unknown; commandId?: string };

export type Api = ReturnType<typeof openApi>;

const PATIENCE_MS = 20_000;
const ONE_ANSWER_MS = 40_000;
const PAUSE_MS = 100;
const PAUSE_MS_MAX = 1000;

/** What is worth sending again: the server is away, full of work, or stopping. */
const isPassing = (status: number): boolean => status === 429 || status >= 500;

/** Speaks with the ledger over HTTP. A request whose answer is lost is sent again, under the same
 *  `Idempotency-Key`, until it  is answered: that is all it takes to survive the server's death. */
export function openApi(url: string, key: string) {
  const counts = { retried: 0, replayed: 0 };

  async function once(method: string, path: string, { body, commandId }: Ask): Promise<Response | Error> {
    const headers: Record<string, string> = { Authorization: `Bearer ${key}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (commandId !== undefined) headers["Idempotency-Key"] = commandId;
    const init: RequestInit = { method, headers, signal: AbortSignal.timeout(ONE_ANSWER_MS) };
    if (body !== undefined) init.body = JSON.stringify(body);
    try {
      const response = await fetch(`${url}${path}`, init);
      // A connection can break inside the body too: it is read here, where it can be asked for again.
      return new Response(await response.text(), response);
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  async function call<Answer>(method: string, path: string, ask: Ask = {}): Promise<Answer> {
    const untilMs = Date.now() + PATIENCE_MS;
    for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
      const answer = await once(method, path, ask);
      if (answer instanceof Response && !isPassing(answer.status)) {
        const text = await answer.text();
        if (!answer.ok) throw new Error(`${method} ${path} was answered with ${answer.status}: ${text}`);
        if (answer.headers.get("Idempotency-Replayed") === "true") counts.replayed++;
        return JSON.parse(text) as Answer; // As /openapi.json describes it.
      }
      if (Date.now() > untilMs) {
        const why = answer instanceof Error ? answer.message : `status ${answer.status}`;
        throw new Error(`${method} ${path} got no answer in ${PATIENCE_MS} ms: ${why}`);
      }
      counts.retried++;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  return {
    get: <Answer>(path: string): Promise<Answer> => call<Answer>("GET", path),
    post: <Answer>(path: string, body: unknown, commandId: string): Promise<Answer> =>
      call<Answer>("POST", path, { body, commandId }),
    /** How often a request was sent again, and how many of the answers were those of the first time. */
    counts: (): Readonly<typeof counts> => counts,
  };
}
