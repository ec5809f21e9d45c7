import { setTimeout as pause } from "node:timers/promises";
import type { Api } from "./api.ts";

/** What the API shows, as far as the demo looks at it. */
export type Event = {
  id: string;
  stream: string;
  type: string;
  revision: number;
  position: string;
  data: { stepRef?: string; attempt?: number; error?: { message: string } };
  meta: { actor: { type: string; id: string }; at: string };
  hash: string;
};
export type Run = {
  id: string;
  workflow: string;
  status: string;
  revision: number;
  errorCount: number;
  attempt: number;
  durationMs: number | null;
  parentId: string | null;
  recipient?: string;
  recipientRuns?: { total: number; byStatus: Record<string, number>; withErrors: number };
  error?: { message: string };
};
export type Attempt = {
  attempt: number;
  at: string;
  /** `unknown` where the server did not live to record one. */
  outcome: string;
  httpStatus: number | null;
};
export type Delivery = {
  id: string;
  runId: string;
  event: { id: string; type: string };
  status: string;
  attempts: Attempt[];
};

type Page<Item> = { items: Item[]; pageInfo: { after: string | null }; position: string };
type Feed = { items: Event[]; next: string; hasMore: boolean };

export type Gathered = {
  /** The log: every event of every run. */
  events: Event[];
  /** The views: runs and recipient runs, and how far they were. */
  runs: Run[];
  viewPosition: string;
  deliveries: Delivery[];
};

const LOOK_MS = 50;
const OPEN = ["pending", "retrying"];

/** Every run's events, oldest first. */
async function readLog(api: Api): Promise<Event[]> {
  const events: Event[] = [];
  for (let after = "0"; ; ) {
    const feed: Feed = await api.get(`/v1/events?after=${after}`);
    events.push(...feed.items);
    after = feed.next;
    if (!feed.hasMore) return events;
  }
}

/** All pages of a list, read when the views had come to this position. */
async function readList<Item>(api: Api, path: string, minPosition: string) {
  const items: Item[] = [];
  for (let after = ""; ; ) {
    const cursor = after && `&after=${encodeURIComponent(after)}`;
    const page: Page<Item> = await api.get(`${path}?pageSize=100&minPosition=${minPosition}${cursor}`);
    items.push(...page.items);
    if (page.pageInfo.after === null) return { items, position: page.position };
    after = page.pageInfo.after;
  }
}

const isEnd = ({ type }: Event): boolean => type === "run.completed" || type === "run.failed";

/** Waits until all runs have ended and nothing is owed to anybody, then reads everything there is. */
export async function gather(api: Api): Promise<Gathered> {
  for (;;) {
    const events = await readLog(api);
    const head = events.at(-1)?.position ?? "0";
    const open = new Set(events.map(({ stream }) => stream));
    for (const { stream } of events.filter(isEnd)) open.delete(stream);
    const listed = await readList<Omit<Delivery, "attempts">>(api, "/v1/deliveries", head);
    if (open.size === 0 && listed.items.every(({ status }) => !OPEN.includes(status))) {
      const runs = await readList<Run>(api, "/v1/runs", head);
      const recipientRuns = await readList<Run>(api, "/v1/recipient-runs", head);
      const ids = listed.items.map(({ id }) => id).reverse();
      const deliveries = await Promise.all(ids.map((id) => api.get<Delivery>(`/v1/deliveries/${id}`)));
      const viewPosition = runs.position;
      return { events, runs: [...runs.items, ...recipientRuns.items].reverse(), viewPosition, deliveries };
    }
    await pause(LOOK_MS);
  }
}
