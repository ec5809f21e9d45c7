import type { RecordedEvent } from "../domain/event.ts";
import { wireIdOf } from "../verification/ids.ts";

/** A recorded event as it is shown outside, by the API and in Kafka: structure and content merged as `data`.
 *  Content that is not shown says why. */
export function eventJson(event: RecordedEvent, content: boolean) {
  const { dataSalt: _, contentSalt: __, ...meta } = event.meta;
  const shown = content ? event.content : undefined;
  return {
    id: event.id,
    stream: wireIdOf(event.stream),
    type: event.type,
    revision: event.revision,
    position: `${event.position}`,
    data: { ...event.data, ...shown },
    ...(meta.contentHash !== null && !content ? { redacted: true } : {}),
    ...(meta.contentHash !== null && event.content === undefined ? { erased: true } : {}),
    meta,
    hash: Buffer.from(event.leaf).toString("hex"),
  };
}
