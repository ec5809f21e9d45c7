/** What the server answered. `body` is its JSON, as the API describes itself; `text` is every byte of it. */
export type Reply<Body> = { status: number; headers: Headers; text: string; body: Body };

export type JsonBody = Record<string, unknown>;

type Ask = { headers?: Readonly<Record<string, string>>; signal?: AbortSignal };

/** A run as the API shows it, as far as tests look at it. */
export type RunJson = {
  id: string;
  status: string;
  revision: number;
  errorCount: number;
  recipientRuns?: { total: number; byStatus: Record<string, number>; withErrors: number };
  waits: { waitId: string; type: string }[];
};
export type Created = { run: RunJson; recipientRuns: { id: string }[]; position: string };
export type RecordedAnswer = {
  events: { id: string; type: string; revision: number; position: string; outcome?: string }[];
  status: string;
  position: string;
};
export type EventJson = {
  id: string;
  stream: string;
  type: string;
  revision: number;
  position: string;
  data: JsonBody;
  meta: JsonBody;
  hash: string;
};
export type Feed = { items: EventJson[]; next: string; hasMore: boolean };
export type Page<Item> = {
  items: Item[];
  pageInfo: { pageSize: number; after: string | null; before: string | null };
  position: string;
};
export type EndpointMade = {
  endpoint: { id: string; status: string };
  secret: string | null;
  position: string;
};
export type AttemptJson = {
  attempt: number;
  scheduleStep: number;
  at: string;
  bodySha256: string;
  outcome: string;
  httpStatus: number | null;
  nextAttemptAt: string | null;
};
export type DeliveryJson = {
  id: string;
  endpointId: string;
  runId: string;
  event: { id: string; type: string; revision: number; position: string };
  status: string;
  attempt: number;
  nextAttemptAt: string | null;
  lastOutcome: string | null;
  lastHttpStatus: number | null;
  attempts?: AttemptJson[];
};

export type Client = ReturnType<typeof client>;

/** Speaks HTTP with a server, as one holder of a key. Answers are never thrown: the test says what it
 *  expects. */
export function client(url: string, key: string | undefined) {
  async function call<Body = JsonBody>(
    method: string,
    path: string,
    body?: unknown,
    { headers = {}, signal }: Ask = {},
  ): Promise<Reply<Body>> {
    const init: RequestInit = { method, headers: { ...bearer(key), ...headers } };
    if (signal !== undefined) init.signal = signal;
    if (body !== undefined) {
      init.body = typeof body === "string" ? body : JSON.stringify(body);
      init.headers = { "content-type": "application/json", ...init.headers };
    }
    const response = await fetch(`${url}${path}`, init);
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json") ?? false;
    // The door from HTTP: every test compares what is inside.
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: (isJson && text ? JSON.parse(text) : {}) as Body,
    };
  }

  const get = <Body = JsonBody>(path: string, ask?: Ask) => call<Body>("GET", path, undefined, ask);
  const post = <Body = JsonBody>(path: string, body: unknown, ask?: Ask) =>
    call<Body>("POST", path, body, ask);

  return {
    url,
    call,
    get,
    post,
    /** Creates a run; the command id is for repeating it. */
    create: (body: object, commandId?: string) =>
      post<Created>("/v1/runs", { workflow: "onboarding", ...body }, withId(commandId)),
    /** Records what happened to a run: types alone, or whole events. */
    record: (runId: string, happened: string | object | readonly (string | object)[], commandId?: string) =>
      post<RecordedAnswer>(`/v1/runs/${runId}/events`, eventsOf(happened), withId(commandId)),
    /** A run as of a position that somebody was told. */
    run: (runId: string, position?: string) =>
      get<RunJson>(`/v1/runs/${runId}${position === undefined ? "" : `?minPosition=${position}`}`),
    /** Every event of the log after a position, page by page. */
    async events(query = "", after = "0"): Promise<EventJson[]> {
      const events: EventJson[] = [];
      for (let next = after; ; ) {
        const { body } = await get<Feed>(`/v1/events?after=${next}${query}`);
        events.push(...body.items);
        next = body.next;
        if (!body.hasMore) return events;
      }
    },
    /** Waits for the log, without asking again and again, until what it says of a type of event is enough. */
    async untilEvents(query: string, enough: (events: readonly EventJson[]) => boolean, after = "0") {
      const events: EventJson[] = [];
      for (let next = after; !enough(events); ) {
        const { body } = await get<Feed>(`/v1/events?after=${next}${query}&wait=10`);
        events.push(...body.items);
        next = body.next;
      }
      return events;
    },
  };
}

const bearer = (key: string | undefined): Record<string, string> =>
  key === undefined ? {} : { authorization: `Bearer ${key}` };

const withId = (commandId: string | undefined): Ask =>
  commandId === undefined ? {} : { headers: { "Idempotency-Key": commandId } };

const eventsOf = (happened: string | object | readonly (string | object)[]): unknown => {
  const whole = (one: string | object) => (typeof one === "string" ? { type: one } : one);
  return Array.isArray(happened) ? happened.map(whole) : whole(happened as string | object);
};
