import { accept, type Decision, refuse } from "../event.ts";
import type { RunEvent } from "./events.ts";

/** Somebody is asked for something; it has one answer, or none when the run goes on without. */
export type Wait = { for: "input" | "approval"; open: boolean };

export type Waits = ReadonlyMap<string, Wait>;

/** The waits with one more, open. */
export const opened = (waits: Waits, waitId: string, kind: Wait["for"]): Waits =>
  new Map(waits).set(waitId, { for: kind, open: true });

/** One wait closed, or, without an id, all of them. */
export function closed(waits: Waits, waitId?: string): Waits {
  if (waits.size === 0) return waits;
  return new Map(
    [...waits].map(([id, wait]) => [
      id,
      waitId === undefined || id === waitId ? { ...wait, open: false } : wait,
    ]),
  );
}

/** What a pause interrupted: the wait that is still open, else the work. */
export function interrupted(waits: Waits): "awaiting_input" | "awaiting_approval" | "running" {
  for (const wait of waits.values())
    if (wait.open) return wait.for === "input" ? "awaiting_input" : "awaiting_approval";
  return "running";
}

type Answer = RunEvent & { data: { waitId: string } };

/** A wait has one answer; one that a run went on without has none. */
export function resolvedWait(waits: Waits, { data }: RunEvent): string | undefined {
  return "waitId" in data && waits.get(data.waitId)?.open === false ? data.waitId : undefined;
}

export const decideAnswer = (waits: Waits, proposed: Answer, kind: Wait["for"]): Decision<RunEvent> =>
  waits.get(proposed.data.waitId)?.for === kind
    ? accept(proposed)
    : refuse("wait_unknown", `no wait for ${kind} has the id ${proposed.data.waitId}`);
