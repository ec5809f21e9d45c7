import { isDeepStrictEqual } from "node:util";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { type Cause, causeOf } from "./cause.ts";

const because: Readonly<Record<string, string>> = {
  "endpoint.created": "it was made",
  "endpoint.degraded": "its attempts failed: fewer are made at once",
  "endpoint.recovered": "its attempts succeed again",
  "endpoint.paused": "it had taken nothing for long: all is kept, and a probe is sent now and then",
  "endpoint.resumed": "it took a probe: what was kept is sent",
  "endpoint.disabled": "nothing is sent to it, and what it was owed then only a request sends",
  "endpoint.enabled": "it is sent again what happens from here on",
  "endpoint.deleted": "all that it was owed is cancelled",
  "endpoint.secret_rotated": "attempts from here on are signed with another secret too",
};

/** What happened to an endpoint behind a position, and up to another, that changed how a delivery went. */
export function endpointCauses(
  events: readonly RecordedEvent[],
  after: bigint,
  until: bigint | undefined,
): Cause[] {
  return events.flatMap((event, index) => {
    if (event.position <= after || (until !== undefined && event.position > until)) return [];
    const what = event.type.replace(".", "_");
    if (event.type === "endpoint.updated") {
      const changed = changesOf(events.slice(0, index), event);
      return changed === "" ? [] : [causeOf(event, what, `changed: ${changed}`)];
    }
    const text = because[event.type];
    if (text === undefined) return [];
    const reason = typeof event.data.reason === "string" ? ` (${event.data.reason})` : "";
    return [causeOf(event, what, `${text}${reason}`)];
  });
}

/** The members that an update gave another value. A URL is not shown: it can name a person. */
function changesOf(before: readonly RecordedEvent[], { data, content }: RecordedEvent): string {
  const said = before.findLast(({ type }) => type === "endpoint.created" || type === "endpoint.updated");
  const [old, now] = [
    { ...said?.data, ...said?.content },
    { ...data, ...content },
  ];
  const names = new Set([...Object.keys(old), ...Object.keys(now)]);
  names.delete("secretKeyIds");
  const isOther = (name: string) =>
    !isDeepStrictEqual((old as Record<string, unknown>)[name], (now as Record<string, unknown>)[name]);
  return [...names].filter(isOther).sort().join(", ");
}
