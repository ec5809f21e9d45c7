import type { JsonObject, NewEvent } from "../../shared/domain/event.ts";
import { canonical, seal } from "../../shared/verification/canonical.ts";
import { newId } from "../../shared/verification/ids.ts";

/** What an event says; everything else about it is made up. */
export type Says = { id?: string; type?: string; data?: JsonObject; content?: JsonObject };

/** Sealed events that follow each other in a stream: from its beginning, or after another event of it. */
export function sealed(ledger: string, stream: string, says: readonly Says[], after?: NewEvent): NewEvent[] {
  const events: NewEvent[] = [];
  for (const { id, type, data, content } of says) {
    const before = events.at(-1) ?? after;
    events.push(
      seal(ledger, {
        id: id ?? newId("evt"),
        stream,
        revision: (before?.revision ?? -1) + 1,
        type: type ?? "run.noted",
        data: canonical(data ?? {}),
        ...(content ? { content: canonical(content) } : {}),
        v: 1,
        workspace: "default",
        actor: { type: "api_key", id: "abcdefghij" },
        correlationId: null,
        causationId: null,
        requestId: null,
        at: "2026-08-15T10:00:00.000Z",
        recordedAt: "2026-08-15T10:00:00.000Z",
        prev: before ? Buffer.from(before.leaf).toString("hex") : null,
      }),
    );
  }
  return events;
}

/** So many events that say nothing in particular, but for their number. */
export const several = (count: number): Says[] =>
  Array.from({ length: count }, (_, number) => ({ data: { number } }));

/** A stream of its own. */
export const newStream = (kind: "run" | "endpoint" = "run"): string => newId(kind).replace("_", "-");
