import { deliveryId } from "../../projections/deliveries/deliveries.ts";
import { createEndpointHistory, type EndpointHistory } from "../../shared/domain/endpoint/history.ts";
import { owedBy } from "../../shared/domain/endpoint/owed.ts";
import type { JsonObject, RecordedEvent } from "../../shared/domain/event.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import { derivedId, streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import { openHistories } from "./histories.ts";
import { type LedgerApi, Moved, NotNow, type Page, type Place } from "./ledger-api.ts";
import { recordedOf } from "./recorded.ts";
import { duration, timeline } from "./timeline.ts";

/** One webhook that is to be sent. */
export type Told = {
  delivery: string;
  endpoint: string;
  event: RecordedEvent;
  endpoints: EndpointHistory;
  historyOf(stream: string, count: number): Promise<readonly RecordedEvent[]>;
};
export type Sent = { outcome: string; httpStatus?: number; durationMs: number };

export type ListenDeps = {
  api: LedgerApi;
  clock: Clock;
  /** Makes a webhook as the dispatcher would, signs it, and posts it; once. */
  send(told: Told): Promise<Sent>;
  say(line: string): void;
  note(line: string): void;
};

export type Listening = {
  /** Where it is sent: the same place has the same ids for the same events, whoever listens. */
  to: string;
  from: "earliest" | "now" | Place;
  types: readonly string[];
  recipientRuns: boolean;
  bodyVersion: number;
};

const WAIT_S = 30;
const AGAIN_MS = 1000;

/** Tells a place what happens, one after the other in the log's order, until it is stopped; resolves with the
 *  position to go on from. What was told and not noted down is told again, under the same id. */
export async function listen(deps: ListenDeps, asked: Listening, signal: AbortSignal): Promise<string> {
  const { api, say } = deps;
  const ledger = await patiently(deps, signal, () => api.ledgerId(signal));
  let place = await placeOf(deps, asked, signal);
  if (ledger === undefined || place === undefined) return "0";
  say(`from ${"after" in place ? place.after : place.since}`);
  const histories = openHistories(api, asked.types, signal);
  if ("after" in place) await histories.begin(place.after);
  const told = openTold(ledger, asked);
  let at = "after" in place ? place.after : "0";
  while (!signal.aborted) {
    const page = await nextPage(deps, place, histories.types, signal);
    if (!page) break;
    if (page.items.some(({ redacted }) => redacted)) noteOnce(deps);
    for (const shown of page.items) {
      if (signal.aborted) return at;
      const event = recordedOf(shown);
      histories.take(event);
      const due = await patiently(deps, signal, () => told.of(event, histories.of));
      if (signal.aborted) return at;
      if (due) {
        const before = histories.toldOf(event.stream);
        const sent = await patiently(deps, signal, () => deps.send(due));
        if (!sent) return at;
        say(line(event, sent));
        const events = await histories.of(event.stream, event.revision + 1);
        if (event.stream.startsWith("run-")) say(`    ${timeline(events, before)}`);
        histories.tell(event);
      }
      at = `${event.position}`;
    }
    at = page.next;
    place = { after: at };
  }
  return at;
}

async function placeOf(deps: ListenDeps, { from }: Listening, signal: AbortSignal) {
  if (from === "earliest") return { after: "0" };
  if (from !== "now") return from as Place;
  const head = await patiently(deps, signal, () => deps.api.head(signal));
  return head === undefined ? undefined : { after: head };
}

async function nextPage(deps: ListenDeps, place: Place, types: readonly string[], signal: AbortSignal) {
  try {
    return await patiently(deps, signal, () => deps.api.page(place, types, WAIT_S, signal));
  } catch (error) {
    if (!(error instanceof Moved)) throw error;
    deps.note(error.message);
    const none: Page = { items: [], next: error.position, hasMore: true };
    return none;
  }
}

/** Asks until it is answered; undefined when it is stopped before. */
async function patiently<Answer>(
  { clock, note }: ListenDeps,
  signal: AbortSignal,
  ask: () => Promise<Answer>,
): Promise<Answer | undefined> {
  for (let isNoted = false; !signal.aborted; isNoted = true) {
    try {
      return await ask();
    } catch (error) {
      if (signal.aborted) return undefined;
      if (!(error instanceof NotNow)) throw error;
      if (!isNoted) note(`${error.message}; asking again`);
      await clock.sleep(AGAIN_MS, signal);
    }
  }
  return undefined;
}

const noted = new WeakSet<ListenDeps>();
function noteOnce(deps: ListenDeps): void {
  if (!noted.has(deps)) deps.note("the key lacks runs:read_payload: bodies are without what was written");
  noted.add(deps);
}

/** Decides what is told, as if there had always been an endpoint for it. */
function openTold(ledger: string, { to, types, recipientRuns, bodyVersion }: Listening) {
  const endpoints = createEndpointHistory();
  const scope = `listen ${to}`;
  const endpoint = streamOf(
    derivedId({ ledger, workspace: "", prefix: "endpoint", scope, commandId: "", index: 0 }),
  );
  const config = { types, recipientRuns, bodyVersion, secretKeyIds: [], status: "enabled" };
  const version = (workspace: string) => {
    const known = endpoints.current(endpoint);
    if (!known) endpoints.take(unmade(endpoint, workspace, config));
    return known ?? endpoints.current(endpoint);
  };
  return {
    async of(event: RecordedEvent, historyOf: Told["historyOf"]): Promise<Told | undefined> {
      const workspace = event.meta.workspace ?? "";
      const to = version(workspace);
      if (!to || !types.some((type) => type === event.type)) return undefined;
      const [created] = event.stream.startsWith("run-") ? await historyOf(event.stream, 1) : [];
      const run = { recipientRun: created?.data.recipientIndex !== undefined, created: created?.data };
      if (!owedBy(event, run, [to]).some(({ as }) => as === "owed")) return undefined;
      const delivery = streamOf(deliveryId(ledger, workspace, endpoint, event.id));
      return { delivery, endpoint, event, endpoints, historyOf };
    },
  };
}

/** The creation of an endpoint that there is not, before everything. */
function unmade(stream: string, workspace: string, data: JsonObject): RecordedEvent {
  const at = new Date(0).toISOString();
  const none = { v: 1, correlationId: null, causationId: null, requestId: null, prev: null };
  const hashes = { dataHash: "", contentHash: null, commandHash: null, dataSalt: new Uint8Array() };
  return {
    ...{
      id: "",
      stream,
      revision: 0,
      position: 0n,
      type: "endpoint.created",
      data,
      leaf: new Uint8Array(32),
    },
    meta: { ...none, ...hashes, workspace, actor: { type: "system", id: "listen" }, at, recordedAt: at },
  };
}

function line({ type, stream, revision, position }: RecordedEvent, sent: Sent): string {
  const answer = sent.httpStatus === undefined ? sent.outcome : `${sent.httpStatus} ${sent.outcome}`;
  const what = `${type}  ${wireIdOf(stream)}  revision ${revision}`;
  return `${position}  ${what}  ${answer}  ${duration(sent.durationMs)}`;
}
