import type { Event, Gathered, Run } from "./gather.ts";
import { seconds, short, table } from "./report.ts";

/** Messages name files in the demo's folder; the rest of the path says enough. */
const plain = (message: string | undefined): string =>
  (message ?? "-").replace(/^Error: /, "").replace(/\/[^\s'"]*\/runledger-demo-\w+\//g, "");

/** Whom a run is for, or else what it does. */
function nameOf(runs: readonly Run[], id: string): string | undefined {
  const run = runs.find((one) => one.id === id);
  return run?.recipient ?? run?.workflow;
}

function showRuns(runs: readonly Run[]): string {
  const rows = runs
    .filter(({ parentId }) => parentId === null)
    .map(({ id, workflow, status, errorCount, attempt, durationMs, recipientRuns }) => {
      const by = Object.entries(recipientRuns?.byStatus ?? {}).map(([word, count]) => `${count} ${word}`);
      const counted = recipientRuns && `${by.join(", ")}; ${recipientRuns.withErrors} with errors`;
      return [short(id), workflow, status, errorCount, attempt, seconds(durationMs), counted];
    });
  return table("Runs", [
    ["run", "workflow", "status", "errors", "attempt", "took", "recipient runs"],
    ...rows,
  ]);
}

function showRecipientRuns(runs: readonly Run[]): string {
  const rows = runs
    .filter(({ parentId }) => parentId !== null)
    .map(({ id, recipient, status, errorCount, attempt, durationMs, error }) => {
      return [short(id), recipient, status, errorCount, attempt, seconds(durationMs), plain(error?.message)];
    });
  const head = ["run", "recipient", "status", "errors", "attempt", "took", "error"];
  return table("Recipient runs of notify", [head, ...rows]);
}

/** Each attempt of each step, in the order in which they ended. */
function showSteps({ events, runs }: Gathered): string {
  const isStartOf = (ended: Event) => (event: Event) =>
    event.type === "step.started" &&
    event.stream === ended.stream &&
    event.data.stepRef === ended.data.stepRef &&
    event.data.attempt === ended.data.attempt;
  const rows = events
    .filter(({ type }) => type === "step.completed" || type === "step.failed")
    .map((event) => {
      const { stepRef, attempt, error } = event.data;
      const startedAt = events.find(isStartOf(event))?.meta.at ?? event.meta.at;
      const took = seconds(Date.parse(event.meta.at) - Date.parse(startedAt));
      return [nameOf(runs, event.stream), stepRef, attempt, event.type.slice(5), took, plain(error?.message)];
    });
  return table("Steps, attempt by attempt", [["of", "step", "attempt", "", "took", "error"], ...rows]);
}

function showDeliveries({ deliveries, runs }: Gathered): string {
  const rows = deliveries.flatMap(({ id, runId, event, attempts }) =>
    attempts.map(({ attempt, at, outcome, httpStatus }, index) => {
      const named = index === 0 ? [short(id), event.type, nameOf(runs, runId)] : ["", "", ""];
      return [...named, attempt, at.slice(11, 23), outcome, httpStatus];
    }),
  );
  const head = ["delivery", "event", "of", "attempt", "at", "outcome", "HTTP"];
  return table("Deliveries, attempt by attempt", [head, ...rows]);
}

/** What happened, as people would read it. */
export const show = (gathered: Gathered): string =>
  [
    showRuns(gathered.runs),
    showSteps(gathered),
    showRecipientRuns(gathered.runs),
    showDeliveries(gathered),
  ].join("");
