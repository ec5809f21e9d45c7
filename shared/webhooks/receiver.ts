import { type Handled, openReceiverMemory, type ReceiverMemory } from "./receiver-memory.ts";
import {
  type Missing,
  mayStillCome,
  type OrderOptions,
  openOrder,
  type ReceiverClock,
  type StateOf,
} from "./receiver-order.ts";
import { readWebhook, type Unread, type WebhookEvent, type WebhookRequest } from "./receiver-request.ts";
import { verify } from "./signature.ts";

// All that a consumer has to name comes from here: this is what the package exports.
export { openReceiverMemory, type ReceiverMemory } from "./receiver-memory.ts";
export type { DeliveryState, Missing, StateOf } from "./receiver-order.ts";
export type { WebhookEvent, WebhookRequest } from "./receiver-request.ts";
export { stateFromLedger } from "./receiver-state.ts";

export type ReceiverOptions = {
  /** Every secret that may have signed: while one is replaced, both. Or where to find them, asked for each
   *  request. */
  secrets: readonly string[] | (() => readonly string[] | Promise<readonly string[]>);
  /** What is remembered, and where. By default in this process, until it ends. */
  memory?: ReceiverMemory;
  /** What the ledger says of an event that did not come: `stateFromLedger` asks its API. Without it, what was
   *  superseded looks like what was lost. */
  stateOf?: StateOf;
  /** Has the events of a run wait for each other. */
  order?: OrderOptions;
  /** `tell`, the default, hands an event over and says what is missing before it; `refuse` answers 409, so
   *  that it is sent again later, for as long as what is missing may still come. */
  onGap?: "tell" | "refuse";
  /** How far the sender's clock may be off, in seconds; 300. */
  toleranceSeconds?: number;
  /** The longest body that is read; 1 MiB. */
  bodyBytesMax?: number;
  clock?: ReceiverClock;
};

/** What is known of an event besides itself. */
export type Context = {
  /** What was to come before it and did not; null where nothing is missing. */
  missing: Missing | null;
  /** A later event of the same run was handled already: what this one says of the run is old. */
  late: boolean;
};
export type Handler = (event: WebhookEvent, context: Context) => unknown;

/** What became of a request. `status` and `body` are what to answer it with. */
export type Received = Accepted | (Unread & { body: null }) | Failed;

export type Accepted = {
  ok: true;
  status: 200 | 204;
  /** What proves that this receiver reads what it is sent, where the ledger asks for that; otherwise null. */
  body: string | null;
  event: WebhookEvent;
  /** It was handled before, and not again. */
  duplicate: boolean;
} & Context;

export type Failed = {
  ok: false;
  status: 409 | 500 | 503;
  body: null;
  reason:
    | "handler_failed"
    | "in_progress"
    | "previous_missing"
    | "too_many_held"
    | "closing"
    | "memory_failed"
    | "secrets_failed";
  event?: WebhookEvent;
  missing?: Missing;
  /** What was thrown. */
  error?: unknown;
};

export type WebhookReceiver = ReturnType<typeof openReceiver>;

const TOLERANCE_SECONDS = 300;
const BODY_BYTES_MAX = 1024 * 1024;

const systemClock: ReceiverClock = {
  now: Date.now,
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const wake = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      signal.addEventListener("abort", wake, { once: true });
    }),
};

/** Receives webhooks: verifies them, has each handled once however often it comes, and notices what is
 *  missing before it. Throws InvalidSecret, or RangeError for other options that cannot be. */
export function openReceiver(options: ReceiverOptions) {
  const { onGap = "tell", clock = systemClock } = options;
  const { toleranceSeconds = TOLERANCE_SECONDS, bodyBytesMax = BODY_BYTES_MAX } = options;
  const memory = options.memory ?? openReceiverMemory({ now: () => clock.now() });
  const order = openOrder({ ...options, memory, clock });
  /** Those being handled, by their ids: the same one coming again meanwhile gets the same answer. */
  const underway = new Map<string, Promise<Received>>();
  requireUsable(options);

  async function handle(event: WebhookEvent, handler: Handler): Promise<Received> {
    const turn = await order.turnOf(event);
    if (turn.kind === "full") return failed(503, "too_many_held", { event });
    if (turn.kind === "closed") return failed(503, "closing", { event });
    const { missing, late } = turn;
    if (missing && onGap === "refuse" && mayStillCome(missing))
      return failed(409, "previous_missing", { event, missing });

    const begun = await memory.begin(event.id);
    if (begun === "busy") return failed(409, "in_progress", { event });
    if (begun === "done") return accepted(event, { duplicate: true, late });
    try {
      await handler(event, { missing, late });
    } catch (error) {
      await memory.abandon(event.id);
      return failed(500, "handler_failed", { event, error });
    }
    await memory.finish(handledOf(event));
    if (event.ledger) order.handled(event.ledger.event);
    return accepted(event, { missing, late });
  }

  async function read(request: WebhookRequest) {
    const secrets = typeof options.secrets === "function" ? await options.secrets() : options.secrets;
    const nowSeconds = clock.now() / 1000;
    return await readWebhook(request, { secrets, nowSeconds, toleranceSeconds, bodyBytesMax });
  }

  return {
    /** Has a request handled, unless that was done before. Never throws: what it resolves with says what
     *  happened and what to answer. A handler that throws has not handled it, and is asked again when the
     *  event is sent again. */
    async receive(request: WebhookRequest, handler: Handler): Promise<Received> {
      const found = await read(request).catch((error: unknown) => failed(500, "secrets_failed", { error }));
      if (!found.ok) return { ...found, body: null };
      const { event } = found;
      const { challenge } = event.data;
      if (event.type === "endpoint.challenge" && typeof challenge === "string")
        return accepted(event, { status: 200, body: JSON.stringify({ challenge }) });
      const first = underway.get(event.id);
      if (first) {
        const answer = await first;
        return answer.ok ? { ...answer, duplicate: true } : answer;
      }
      const handling = handle(event, handler)
        .catch((error: unknown) => failed(503, "memory_failed", { event, error }))
        .finally(() => underway.delete(event.id));
      underway.set(event.id, handling);
      return await handling;
    },
    /** How many events wait for the one before them. */
    held: order.held,
    /** Those that wait are not handled any more, and will be sent again. */
    close: order.close,
  };
}

const accepted = (event: WebhookEvent, more: Partial<Accepted>): Accepted => ({
  ok: true,
  status: 204,
  body: null,
  event,
  duplicate: false,
  missing: null,
  late: false,
  ...more,
});

const failed = (
  status: Failed["status"],
  reason: Failed["reason"],
  more: Pick<Failed, "event" | "missing" | "error">,
): Failed => ({ ok: false, status, body: null, reason, ...more });

const handledOf = ({ id, data, ledger }: WebhookEvent): Handled => ({
  id,
  run: data.run?.id ?? null,
  event: ledger?.event ?? null,
  revision: ledger?.revision ?? null,
});

/** A receiver that could verify nothing, or would wait for ever, does not start. */
function requireUsable({ secrets, order, toleranceSeconds, bodyBytesMax }: ReceiverOptions): void {
  if (typeof secrets !== "function") {
    if (secrets.length === 0) throw new RangeError("a receiver needs at least one secret");
    verify(secrets, { id: "x", timestamp: "0", signature: "v1," }, "", { nowSeconds: 0 });
  }
  for (const [name, value] of Object.entries({ toleranceSeconds, bodyBytesMax, ...order }))
    if (value !== undefined && !(value >= 0 && value <= WHOLE_MAX))
      throw new RangeError(`${name} cannot be ${value}`);
}

/** A longer timer would fire at once. */
const WHOLE_MAX = 2 ** 31 - 1;
