import { describe, expect, it } from "vitest";
import type { JsonObject, RecordedEvent } from "../../../shared/domain/event.ts";
import { replayKinds } from "../../../shared/domain/replay/events.ts";
import { isWanted, standingOf } from "../../../shared/domain/replay/wanted.ts";

type Told = [type: string, data?: JsonObject];

/** A delivery with this history, from position 100 on; owed at 50 unless said, and ended at a position. */
function kindsThatWant(history: Told[], { owedAt = 50n as bigint | null, endedAt = 0n } = {}): string {
  const events = history.map(([type, data = {}], index) => {
    const meta = { at: "2026-01-01T00:00:00.000Z" };
    const event = { type: `delivery.${type}`, data, meta, position: 100n + BigInt(index) };
    return event as unknown as RecordedEvent; // As far as anything here looks at it.
  });
  const endedSince = (position: bigint) => endedAt >= position;
  const standing = standingOf(events, { owedAt: owedAt ?? undefined, endedSince });
  return replayKinds.filter((kind) => isWanted(kind, standing)).join(" ");
}

const attempted: Told = ["attempted", { attempt: 1, scheduleStep: 0 }];
const refused: Told = ["responded", { attempt: 1, outcome: "http_error", durationMs: 1 }];
const delivered: Told = ["responded", { attempt: 1, outcome: "delivered", durationMs: 1 }];
const cancelled = (reason: string): Told => ["cancelled", { reason }];
const requested: Told = ["requested", { reason: "resend", endpointRevision: 0 }];
const exhausted: Told = ["exhausted"];

describe("a replay", () => {
  it.each<[string, Told[], Parameters<typeof kindsThatWant>[1], string]>([
    ["is owed and was not attempted yet", [], {}, ""],
    ["was skipped, or is from before the endpoint", [], { owedAt: null }, "missing all"],
    ["was never attempted before its endpoint was disabled", [], { endedAt: 60n }, "missing all"],
    ["is being attempted", [attempted], {}, ""],
    ["will be attempted again", [attempted, refused], {}, ""],
    ["failed when its endpoint was disabled", [attempted, refused], { endedAt: 200n }, "failed all"],
    ["was attempted as its endpoint was disabled", [attempted], { endedAt: 200n }, "failed all"],
    ["was delivered", [attempted, delivered], {}, "all"],
    ["was given up", [attempted, refused, exhausted], {}, "failed all"],
    ["was refused for ever", [attempted, refused, cancelled("aborted")], {}, "failed all"],
    ["was cancelled with its replay", [requested, cancelled("replay_cancelled")], {}, "missing all"],
    ["was answered before it was sent", [cancelled("superseded")], {}, "all"],
    ["was answered while it was sent", [attempted, refused, cancelled("wait_resolved")], {}, "all"],
    ["cannot be made any more", [attempted, refused, cancelled("content_erased")], {}, ""],
    ["was asked for", [requested], { owedAt: null }, ""],
    ["was asked for after it was given up", [attempted, exhausted, requested], {}, ""],
    ["was asked for after its endpoint was enabled again", [requested], { endedAt: 90n }, ""],
    ["was asked for before its endpoint was disabled", [requested], { endedAt: 150n }, "missing all"],
    ["was asked for and sent", [requested, attempted, delivered], {}, "all"],
  ])("of what %s: who asks for it", (_, history, options, expected) =>
    expect(kindsThatWant(history, options)).toBe(expected),
  );
});
