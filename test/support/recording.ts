import type { JsonObject } from "../../shared/domain/event.ts";
import type { EventStore } from "../../shared/event-store/event-store.ts";
import { canonical, seal } from "../../shared/verification/canonical.ts";
import { typeid } from "../../shared/verification/ids.ts";

/** What is given beside an event's type and members; the rest is made up, equal in every run. */
export type Beside = { workspace?: string; recordedAt?: string; at?: string; causationId?: string };

const bytesOf = (number: number): Uint8Array => {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint32(12, number);
  return bytes;
};

/** The `number`th id with a prefix: told apart at a glance. */
export const idOf = (prefix: "run" | "endpoint" | "delivery" | "wait" | "evt", number: number): string =>
  typeid(prefix, bytesOf(number));

/** Seals and appends events without deciding anything: the test says what happened. */
export function recorder(store: EventStore) {
  const streams = new Map<string, { revision: number; prev: string | null }>();
  let made = 0;
  let clockMs = Date.parse("2026-01-01T00:00:00.000Z");

  return {
    async record(
      stream: string,
      type: string,
      data: JsonObject = {},
      content?: JsonObject,
      beside: Beside = {},
    ): Promise<bigint> {
      const { revision, prev } = streams.get(stream) ?? { revision: 0, prev: null };
      clockMs += 7;
      const recordedAt = beside.recordedAt ?? new Date(clockMs).toISOString();
      const sealed = seal(store.ledger, {
        id: idOf("evt", ++made),
        stream,
        revision,
        type,
        data: canonical(data),
        ...(content !== undefined && { content: canonical(content) }),
        v: 1,
        workspace: type.startsWith("ledger.") ? null : (beside.workspace ?? "default"),
        actor: { type: "system", id: "test" },
        correlationId: null,
        causationId: beside.causationId ?? null,
        requestId: null,
        at: beside.at ?? recordedAt,
        recordedAt,
        prev,
      });
      const [position] = await store.append(stream, revision, [sealed]);
      streams.set(stream, { revision: revision + 1, prev: Buffer.from(sealed.leaf).toString("hex") });
      return position ?? 0n;
    },
  };
}

export type Recorder = ReturnType<typeof recorder>;
