import {
  changeTypes,
  lossTypes,
  namesType,
  noticeTypes,
  runOwingTypes,
} from "../../shared/domain/endpoint/events.ts";
import type { EndpointHistory } from "../../shared/domain/endpoint/history.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { EventReader } from "../../shared/event-store/event-store.ts";

const PAGE_EVENTS = 500;

const typesOf: Readonly<Record<string, readonly string[]>> = {
  run: runOwingTypes,
  endpoint: [...noticeTypes, ...changeTypes],
  delivery: lossTypes,
};

/** The kinds of streams that an endpoint has ever heard of. */
export function kindsHeard(endpoints: Pick<EndpointHistory, "atRevision">, endpoint: string): string[] {
  const patterns = new Set<string>();
  for (let revision = 0; ; revision++) {
    const version = endpoints.atRevision(endpoint, revision);
    if (!version) break;
    for (const pattern of version.types) patterns.add(pattern);
  }
  const isHeard = (type: string) => [...patterns].some((pattern) => namesType(pattern, type));
  return Object.keys(typesOf).filter((kind) => typesOf[kind]?.some(isHeard));
}

/** The events of streams of these kinds behind a position and up to another, in the order of the log, a page
 *  at a time: nothing is held open while whoever asked goes slowly. */
export async function* pagesOf(
  store: Pick<EventReader, "readAll">,
  kinds: readonly string[],
  after: bigint,
  until: bigint,
): AsyncGenerator<readonly RecordedEvent[]> {
  for (let from = after; from < until; ) {
    const pages = await Promise.all(
      kinds.map((kind) => Array.fromAsync(store.readAll(from, { kind, limit: PAGE_EVENTS }))),
    );
    // As far as all of them were read: what is behind that comes with the next page.
    let end = until;
    let isEnd = true;
    for (const page of pages) {
      const last = page.at(-1);
      if (!last || page.length < PAGE_EVENTS) continue;
      isEnd = false;
      if (last.position < end) end = last.position;
    }
    const page = pages.flat().filter(({ position }) => position <= end);
    if (kinds.length > 1) page.sort((a, b) => (a.position < b.position ? -1 : 1));
    yield page;
    if (isEnd) return;
    from = end;
  }
}
