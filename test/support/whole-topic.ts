import { expect } from "vitest";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { EventReader } from "../../shared/event-store/event-store.ts";
import type { Published } from "./publishing.ts";

type Log = { store: Pick<EventReader, "readAll"> };

/** What a topic must have: the events of runs. */
export async function runEvents({ store }: Log): Promise<RecordedEvent[]> {
  const events = await Array.fromAsync(store.readAll(0n));
  return events.filter(({ stream }) => stream.startsWith("run-"));
}

export const idsOf = (messages: readonly Published[]): string[] =>
  messages.map(({ headers }) => headers["event-id"] ?? "");

/** Every event is there, and each run's first copies are in the order of its revisions. */
export async function expectWhole(ledger: Log, messages: readonly Published[]): Promise<void> {
  const events = await runEvents(ledger);
  expect(new Set(idsOf(messages))).toEqual(new Set(events.map(({ id }) => id)));
  const next = new Map<string, number>();
  for (const { key, headers } of messages) {
    const revision = Number(headers["run-revision"]);
    const expected = next.get(key) ?? 0;
    expect(revision, `${key} has no gap`).toBeLessThanOrEqual(expected);
    if (revision === expected) next.set(key, expected + 1);
  }
}
