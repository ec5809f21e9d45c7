import type { RecordedEvent } from "../../shared/domain/event.ts";
import { eventJson } from "../../shared/ledger/event-json.ts";
import { kindOf, wireIdOf } from "../../shared/verification/ids.ts";

/** What of the log a topic gets. */
export type Choice = {
  /** What happens to deliveries too. */
  deliveries: boolean;
  /** What producers and people wrote too. */
  content: boolean;
};

/** An event as a topic keeps it. The value is bytes already: they are counted. */
export type Message = { key: string; value: Buffer; headers: Record<string, string> };

/** An event on its way: all but where its batch begins, which is known when the batch is. */
export type Rendered = Message & { position: bigint; leaf: Uint8Array; bytes: number };

/** What the broker adds to each message, and the header that is not there yet: a bit more than either. */
const OVERHEAD_BYTES = 96;

/** Whether the topic gets this event at all: those of runs and job runs, and of deliveries where asked. */
export function isPublished({ stream }: Pick<RecordedEvent, "stream">, { deliveries }: Choice): boolean {
  const kind = kindOf(stream);
  return kind === "run" || kind === "job_run" || (deliveries && kind === "delivery");
}

/** An event as it is published, by the ledger of this id. Its key keeps all events of a run in their
 *  order. A delivery's events do not say which run they are about: a delivery is its own key. */
export function renderMessage(event: RecordedEvent, ledger: string, { content }: Choice): Rendered {
  const shown = eventJson(event, content);
  const whose = kindOf(event.stream) === "delivery" ? "delivery" : "run";
  const key = wireIdOf(event.stream);
  const headers: Record<string, string> = {
    "ledger-id": ledger,
    "event-id": event.id,
    [`${whose}-id`]: key,
    [`${whose}-revision`]: `${event.revision}`,
    position: shown.position,
    schema: `${event.type}/${event.meta.v}`,
    "leaf-hash": shown.hash,
  };
  const value = Buffer.from(JSON.stringify(shown));
  let bytes = OVERHEAD_BYTES + key.length + value.length;
  for (const name of Object.keys(headers)) bytes += name.length + (headers[name] ?? "").length + 4;
  return { key, value, headers, position: event.position, leaf: event.leaf, bytes };
}
