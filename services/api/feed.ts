import { z } from "zod";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { checkPosition } from "../../shared/ledger/epochs.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { kindOf } from "../../shared/verification/ids.ts";
import { parsePosition } from "./headers.ts";
import { answer, type Route, route } from "./route.ts";
import { EventJson, eventJson, readsContent } from "./run-json.ts";
import { Position } from "./views.ts";

export type FeedDeps = {
  ledger: Ledger;
  clock: Clock;
  pageSizeMax: number;
  /** Resolves when the log may have grown, or when aborted. */
  grown(after: bigint, signal: AbortSignal): Promise<void>;
  /** Aborted when the server stops: nobody is kept waiting. */
  stopping: AbortSignal;
};

/** How much of the log one request looks through, where little of it is asked for. */
const SCANNED_MAX = 20_000;

/** The log as a feed: every event that is asked for, oldest first, and always where to go on. */
export function feedRoute(deps: FeedDeps): Route {
  const { ledger, pageSizeMax } = deps;

  async function read(
    after: bigint,
    workspace: string,
    wanted: (event: RecordedEvent) => boolean,
    size: number,
  ) {
    const events: RecordedEvent[] = [];
    let next = after;
    let scanned = 0;
    for await (const event of ledger.store.readAll(after, { limit: SCANNED_MAX })) {
      next = event.position;
      scanned++;
      if (event.meta.workspace === workspace && wanted(event) && events.push(event) === size) break;
    }
    const hasMore =
      events.length === size || scanned === SCANNED_MAX ? (await ledger.store.head()) > next : false;
    return { events, next, hasMore };
  }

  return route({
    method: "get",
    path: "/v1/events",
    operationId: "listEvents",
    summary: "The log, oldest first: what happened to runs, or, with `type`, anything else",
    description:
      "Store `next` when the page is handled, and go on `after` it. With `wait`, an empty page waits for an event.",
    permission: "events:read",
    request: {
      query: z.strictObject({
        after: Position.optional(),
        pageSize: z
          .string()
          .regex(/^[1-9]\d{0,3}$/)
          .optional(),
        type: z.array(z.string().regex(/^[a-z_]+\.[a-z_]+$/, "must be a type of event")).optional(),
        wait: z
          .string()
          .regex(/^(?:[0-9]|[12][0-9]|30)$/, "must be a whole number of seconds from 0 to 30")
          .optional(),
      }),
    },
    responses: { 200: z.strictObject({ items: z.array(EventJson), next: z.string(), hasMore: z.boolean() }) },
    problems: ["position_moved", "position_unknown"],
    async handle({ query, principal, request }) {
      const after = parsePosition(query.after ?? "0") ?? 0n;
      const checked = await checkPosition(ledger.store, after);
      if (!checked.ok) {
        if (checked.code === "position_unknown")
          throw new Problem("position_unknown", "No event has this position.");
        throw new Problem("position_moved", "The log began a new epoch.", {
          position: `${checked.position}`,
        });
      }
      const types = query.type && new Set(query.type);
      const wanted = (event: RecordedEvent) =>
        types ? types.has(event.type) : kindOf(event.stream) === "run";
      const size = Math.min(Number(query.pageSize ?? pageSizeMax), pageSizeMax);
      const untilMs = deps.clock.now() + Number(query.wait ?? 0) * 1000;
      const ended = new AbortController();
      const gone = () => ended.abort();
      request.socket.once("close", gone);
      let page = await read(after, principal.workspace, wanted, size);
      while (page.events.length === 0 && !ended.signal.aborted && !deps.stopping.aborted) {
        const leftMs = untilMs - deps.clock.now();
        if (leftMs <= 0 && !page.hasMore) break;
        if (!page.hasMore) await nap(deps, page.next, leftMs, AbortSignal.any([ended.signal, deps.stopping]));
        page = await read(page.next, principal.workspace, wanted, size);
      }
      request.socket.off("close", gone);
      const content = readsContent(principal);
      const items = page.events.map((event) => eventJson(event, content));
      return answer(200, { items, next: `${page.next}`, hasMore: page.hasMore });
    },
  });
}

/** Waits for the log to grow, but no longer than that. */
async function nap(
  { clock, grown }: FeedDeps,
  after: bigint,
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  const enough = new AbortController();
  const either = AbortSignal.any([enough.signal, signal]);
  await Promise.race([grown(after, either), clock.sleep(ms, either)]);
  enough.abort();
}
