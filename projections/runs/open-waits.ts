import type { RunEvent } from "../../shared/domain/run/events.ts";
import type { Run } from "../../shared/domain/run/run.ts";
import type { Happened } from "../projection.ts";
import type { OpenWait, RunRow } from "./runs.table.ts";

/** The waits that are open after an event, with what was asked. */
export function openWaits(row: RunRow, waits: Run["waits"], event: Happened<RunEvent>): readonly OpenWait[] {
  const kept = row.waits.filter(({ waitId }) => waits.open.has(waitId));
  const unchanged = kept.length === row.waits.length ? row.waits : kept;
  if (event.type === "run.awaiting_input") {
    const { waitId, kind, expiresAt } = event.data;
    const wait = {
      waitId,
      type: "input" as const,
      kind: kind ?? null,
      stepRef: null,
      expiresAt: expiresAt ?? null,
    };
    return [...unchanged, { ...wait, openedAt: event.meta.at, ...event.content } as OpenWait];
  }
  if (event.type === "run.awaiting_approval") {
    const { waitId, stepRef, expiresAt } = event.data;
    const wait = {
      waitId,
      type: "approval" as const,
      kind: null,
      stepRef: stepRef ?? null,
      expiresAt: expiresAt ?? null,
    };
    return [...unchanged, { ...wait, openedAt: event.meta.at, ...event.content } as OpenWait];
  }
  return unchanged;
}
