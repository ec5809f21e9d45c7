import type { OwingRun, ToldRun } from "../../shared/domain/endpoint/filter.ts";
import { canOwe } from "../../shared/domain/endpoint/owed.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { runV2 } from "./run-body.ts";
import type { RunRow } from "./runs.table.ts";
import { foldRun } from "./runs.ts";

/** An event that can owe, with its run folded up to it. */
export type OwingEvent = { event: RecordedEvent; run: OwingRun };

/** A run out of its own events, and those of them that can owe. The run is folded once. */
export function foldOwing(events: readonly RecordedEvent[]): { run?: RunRow; owing: OwingEvent[] } {
  const owing: OwingEvent[] = [];
  const created = events[0]?.data;
  const recipientRun = created?.recipientIndex !== undefined;
  let run: RunRow | undefined;
  let erased = false;
  for (const event of events) {
    run = foldRun([event], run);
    erased ||= event.meta.contentHash !== null && event.content === undefined;
    if (!run || !canOwe(event)) continue;
    const then = { row: run, erased };
    owing.push({ event, run: { recipientRun, created, told: () => toldRun(event, then) } });
  }
  return run ? { run, owing } : { owing };
}

/** What decides whom the last of a run's events is owed to. */
export function owingRun(events: readonly RecordedEvent[]): OwingRun {
  const { owing } = foldOwing(events);
  const last = owing.at(-1);
  if (last === undefined || last.event !== events.at(-1)) throw new Error("the last event owes nothing");
  return last.run;
}

const toldRun = (event: RecordedEvent, { row, erased }: { row: RunRow; erased: boolean }): ToldRun => ({
  workflow: row.workflow,
  test: row.test,
  hasErrors: row.hasErrors,
  recipientKey: row.recipientKey,
  erased,
  run: () => runV2(row, event),
});
