import { accept, type Decision, refuse } from "../event.ts";
import { type Keyed, nothingKeyed, valueAt, withValue } from "../keyed.ts";
import type { RunEvent } from "./events.ts";

/** Somebody is asked for something; it has one answer, or none when the run goes on without. */
export type Waits = {
  open: ReadonlyMap<string, "input" | "approval">;
  /** Those that have their answer, or were given up. */
  resolved: Keyed<true>;
};

export const noWaits: Waits = { open: new Map(), resolved: nothingKeyed };

/** The waits with one more, open. */
export const opened = (waits: Waits, waitId: string, kind: "input" | "approval"): Waits => ({
  ...waits,
  open: new Map(waits.open).set(waitId, kind),
});

/** One wait closed, or, without an id, all of them. */
export function closed(waits: Waits, waitId?: string): Waits {
  const open = new Map(waits.open);
  let { resolved } = waits;
  for (const id of waitId === undefined ? waits.open.keys() : [waitId]) {
    open.delete(id);
    resolved = withValue(resolved, id, true);
  }
  return { open, resolved };
}

/** What a pause interrupted: the wait that is still open, else the work. */
export function interrupted({ open }: Waits): "awaiting_input" | "awaiting_approval" | "running" {
  const [first] = open.values();
  return first === undefined ? "running" : `awaiting_${first}`;
}

type Answer = RunEvent & { data: { waitId: string } };

/** A wait has one answer; one that a run went on without has none. */
export function resolvedWait(waits: Waits, { data }: RunEvent): string | undefined {
  return "waitId" in data && valueAt(waits.resolved, data.waitId) ? data.waitId : undefined;
}

export const decideAnswer = (
  waits: Waits,
  proposed: Answer,
  kind: "input" | "approval",
): Decision<RunEvent> =>
  waits.open.get(proposed.data.waitId) === kind
    ? accept(proposed)
    : refuse("wait_unknown", `no wait for ${kind} has the id ${proposed.data.waitId}`);
