import { z } from "zod";
import { endpointEvents } from "../../shared/domain/endpoint/events.ts";
import { type EventType, type RecordedEvent, split } from "../../shared/domain/event.ts";
import { runEvents } from "../../shared/domain/run/events.ts";
import { StartupError } from "../../shared/platform/errors.ts";
import { streamOf } from "../../shared/verification/ids.ts";

/** An event as the API shows it, as far as a body is made of it. */
export const ShownEvent = z.object({
  id: z.string(),
  stream: z.string(),
  type: z.string(),
  revision: z.int(),
  position: z.string().regex(/^\d+$/),
  data: z.record(z.string(), z.unknown()),
  redacted: z.boolean().optional(),
  meta: z.object({
    v: z.int(),
    workspace: z.string().nullable(),
    actor: z.object({ type: z.enum(["api_key", "system", "kafka"]), id: z.string() }),
    correlationId: z.string().nullable(),
    causationId: z.string().nullable(),
    requestId: z.string().nullable(),
    at: z.string(),
    recordedAt: z.string(),
    prev: z.string().nullable(),
    dataHash: z.string(),
    contentHash: z.string().nullable(),
    commandHash: z.string().nullable(),
  }),
  hash: z.string(),
});
export type ShownEvent = z.infer<typeof ShownEvent>;

const kinds = new Map<string, EventType>([...runEvents, ...endpointEvents].map((kind) => [kind.type, kind]));

/** The event that is shown, as the log has it, but for its salts: structure and content apart again. Content
 *  that is not shown is absent, as if it had been erased. */
export function recordedOf(shown: ShownEvent): RecordedEvent {
  const { id, stream, type, revision, position, data, meta, hash } = shown;
  const kind = kinds.get(type);
  // Whoever does not know what happened cannot say what a run has become by it.
  if (!kind) throw new StartupError(`the ledger has recorded ${type}, which this version does not know`);
  return {
    ...split(kind, data),
    id,
    stream: streamOf(stream),
    revision,
    position: BigInt(position),
    meta: { ...meta, dataSalt: new Uint8Array() },
    leaf: Buffer.from(hash, "hex"),
  };
}
