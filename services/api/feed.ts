import { z } from "zod";
import { Instant, type RecordedEvent } from "../../shared/domain/event.ts";
import { checkPosition } from "../../shared/ledger/epochs.ts";
import { eventJson } from "../../shared/ledger/event-json.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { kindOf } from "../../shared/verification/ids.ts";
import { eventExample } from "./examples.ts";
import { parsePosition } from "./headers.ts";
import { lastBefore } from "./replay-range.ts";
import { answer, type Route, route } from "./route.ts";
import { EventJson, readsContent } from "./run-json.ts";
import { minPositionQuery, Position, pageSizeQuery, requireLive, type Views } from "./views.ts";

export type FeedDeps = {
  ledger: Ledger;
  views: Views;
  clock: Clock;
  pageSizeMax: number;
  /** Resolves when the log may have grown, or when aborted. */
  grown(after: bigint, signal: AbortSignal): Promise<void>;
  /** Aborted when the server stops: nobody is kept waiting. */
  stopping: AbortSignal;
};

/** How much of the log is looked through before an empty page says where to go on. */
const SCANNED_MAX = 20_000;

const query = (pageSizeMax: number) =>
  z.strictObject({
    after: Position.optional(),
    since: Instant.optional().describe("In place of `after`: what was recorded then or since."),
    pageSize: pageSizeQuery(pageSizeMax),
    ...minPositionQuery,
    type: z
      .array(z.string().regex(/^[a-z_]+\.[a-z_]+$/, "must be a type of event"))
      .optional()
      .describe("Only these types, of whatever they are; the events of runs, unless said."),
    wait: z
      .string()
      .regex(/^(?:[0-9]|[12][0-9]|30)$/, "must be a whole number of seconds from 0 to 30")
      .optional()
      .describe("How many seconds an empty page waits for an event, 0 to 30."),
  });

type FeedPage = { events: RecordedEvent[]; next: bigint; hasMore: boolean };

/** The log as a feed: every event that is asked for, oldest first, and always where to go on. */
export function feedRoute(deps: FeedDeps): Route {
  const { ledger, pageSizeMax } = deps;
  return route({
    method: "get",
    path: "/v1/events",
    operationId: "listEvents",
    summary: "The log, oldest first: what happened to runs, or, with `type`, anything else",
    description:
      "Store `next` when the page is handled, and go on `after` it. A page can be empty though there is " +
      "more. With `wait`, an empty page waits for an event.",
    permission: "events:read",
    request: { query: query(pageSizeMax) },
    responses: { 200: z.strictObject({ items: z.array(EventJson), next: z.string(), hasMore: z.boolean() }) },
    problems: ["position_moved", "position_unknown", "views_rebuilding"],
    example: { answer: { items: [eventExample], next: eventExample.position, hasMore: false } },
    async handle({ query, principal, request }) {
      const after = await beginning(deps, principal.workspace, query);
      const types = query.type && new Set(query.type);
      const wanted = (event: RecordedEvent) =>
        event.meta.workspace === principal.workspace &&
        (types ? types.has(event.type) : kindOf(event.stream) === "run");
      const size = Number(query.pageSize ?? pageSizeMax);
      const gone = new AbortController();
      const leave = () => gone.abort();
      request.socket.once("close", leave);
      try {
        const signal = AbortSignal.any([gone.signal, deps.stopping]);
        const waitMs = Number(query.wait ?? 0) * 1000;
        const page = await waitForPage(deps, after, (from) => readPage(ledger, from, wanted, size), {
          waitMs,
          signal,
        });
        const content = readsContent(principal);
        const items = page.events.map((event) => eventJson(event, content));
        return answer(200, { items, next: `${page.next}`, hasMore: page.hasMore });
      } finally {
        request.socket.off("close", leave);
      }
    },
  });
}

/** What the first page is behind. */
async function beginning(
  deps: FeedDeps,
  workspace: string,
  asked: { after?: string | undefined; since?: string | undefined },
) {
  const { after, since } = asked;
  if (since === undefined) {
    const position = parsePosition(after ?? "0") ?? 0n;
    await checkAfter(deps.ledger, position);
    return position;
  }
  if (after !== undefined) throw new Problem("invalid_query", "since: is in place of after");
  requireLive(deps.views);
  return lastBefore(deps, workspace, Date.parse(since));
}

async function checkAfter({ store }: Ledger, after: bigint): Promise<void> {
  const checked = await checkPosition(store, after);
  if (checked.ok) return;
  if (checked.code === "position_unknown")
    throw new Problem("position_unknown", `No event has the position ${after}.`);
  const { position } = checked;
  const detail = `The log began a new epoch: ${after} is ${position} now.`;
  throw new Problem("position_moved", detail, { position: `${position}` });
}

async function readPage(
  { store }: Ledger,
  after: bigint,
  wanted: (event: RecordedEvent) => boolean,
  size: number,
): Promise<FeedPage> {
  const events: RecordedEvent[] = [];
  let next = after;
  let scanned = 0;
  for await (const event of store.readAll(after, { limit: SCANNED_MAX })) {
    next = event.position;
    scanned++;
    if (wanted(event) && events.push(event) === size) break;
  }
  const isCut = events.length === size || scanned === SCANNED_MAX;
  return { events, next, hasMore: isCut && (await store.head()) > next };
}

/** The first page that is not empty, or the last one that there was time for. */
async function waitForPage(
  { clock, grown }: FeedDeps,
  after: bigint,
  read: (after: bigint) => Promise<FeedPage>,
  { waitMs, signal }: { waitMs: number; signal: AbortSignal },
): Promise<FeedPage> {
  const untilMs = clock.now() + waitMs;
  for (let from = after; ; ) {
    const page = await read(from);
    const leftMs = untilMs - clock.now();
    if (page.events.length > 0 || leftMs <= 0 || signal.aborted) return page;
    from = page.next;
    if (page.hasMore) continue;
    const enough = new AbortController();
    const either = AbortSignal.any([enough.signal, signal]);
    await Promise.race([grown(from, either), clock.sleep(leftMs, either)]);
    enough.abort();
  }
}
