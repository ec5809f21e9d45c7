import { urgencies } from "../../projections/deliveries/deliveries.table.ts";
import { owingRun } from "../../projections/runs/owing-run.ts";
import type { Delivery } from "../../shared/domain/delivery/delivery.ts";
import type { OwingRun } from "../../shared/domain/endpoint/filter.ts";
import type { EndpointHistory, EndpointVersion } from "../../shared/domain/endpoint/history.ts";
import { canOwe, needsTold, owedBy } from "../../shared/domain/endpoint/owed.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { type Run, terminalStatuses } from "../../shared/domain/run/run.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import type { Next } from "./attempting.ts";
import type { Due } from "./due.ts";
import { deliveryStream } from "./order.ts";

type Deps = {
  ledger: Ledger;
  endpoints: EndpointHistory;
  push(due: Due): void;
  /** Looks at a delivery that may have become too late: now, or as soon as its attempt has ended. */
  again(due: Due): void;
  later(endpoint: string, next: Next): void;
};

const asks = new Set(["run.awaiting_input", "run.awaiting_approval"]);
/** What may close a wait: by its answer, or by going on without. */
export const endsWaits: ReadonlySet<string> = new Set([
  "run.input_given",
  "run.approved",
  "run.rejected",
  "run.resumed",
  ...terminalStatuses.map((status) => `run.${status}`),
]);

/** What follows for deliveries from an event that was just heard of. */
export function openOwing({ ledger, endpoints, push, again, later }: Deps) {
  const dueOf = (event: RecordedEvent, endpoint: string): Due => {
    const workspace = event.meta.workspace ?? "";
    return {
      delivery: deliveryStream(ledger.id, workspace, endpoint, event.id),
      endpoint,
      source: event.stream,
      revision: event.revision,
      position: event.position,
      workspace,
      event: event.id,
      urgency: urgencies.first,
    };
  };
  const knownAt = ({ meta, position }: RecordedEvent) => endpoints.asOf(meta.workspace ?? "", position);

  /** Whether a run is somebody's recipient run, and what it is of, stands in its stream; that is nearly
   *  always in memory. Where a filter looks inside, the run is read as it was then. */
  async function runOf(event: RecordedEvent, to: readonly EndpointVersion[]): Promise<OwingRun> {
    if (!event.stream.startsWith("run-")) return { recipientRun: false };
    if (needsTold(event, to)) return owingRun(await ledger.history(event.stream, 0, event.revision + 1));
    const run = await ledger.find<Run>(event.stream);
    return { recipientRun: run?.state.recipientIndex !== undefined, created: run?.state };
  }

  async function isOwed(event: RecordedEvent, endpoint: string): Promise<boolean> {
    const then = endpoints.at(endpoint, event.position);
    if (!then) return false;
    return owedBy(event, await runOf(event, [then]), [then]).some(({ as }) => as === "owed");
  }

  /** Whether a delivery was given up, or made; one that is open is looked at again. */
  async function isOver(event: RecordedEvent, endpoint: string): Promise<boolean> {
    const due = dueOf(event, endpoint);
    const fold = await ledger.find<Delivery>(due.delivery);
    if (fold ? fold.state.status === "open" : await isOwed(event, endpoint)) again(due);
    return fold !== undefined && fold.state.status !== "open";
  }

  /** Where only the newest is wanted, what is open of the run's earlier events is not sent any more. */
  async function supersede(event: RecordedEvent, endpoint: string): Promise<void> {
    const before = (await ledger.history(event.stream, 0, event.revision)).filter((one) => canOwe(one));
    // Before one that is over, all are.
    for (const earlier of before.toReversed()) if (await isOver(earlier, endpoint)) return;
  }

  return {
    /** Queues what an event owes. */
    async owe(event: RecordedEvent): Promise<void> {
      const known = knownAt(event);
      if (known.length === 0) return;
      for (const { endpoint, as } of owedBy(event, await runOf(event, known), known)) {
        if (as === "skipped") continue;
        const isOfRun = event.stream.startsWith("run-");
        if (isOfRun && endpoint.policy.order === "newestOnly") await supersede(event, endpoint.stream);
        const firstPauseMs = endpoint.scheduleMs?.[0] ?? 0;
        if (firstPauseMs > 0 || endpoint.status === "paused") {
          // Not yet: the views say when.
          const nextAttemptAtMs = Date.parse(event.meta.recordedAt) + firstPauseMs;
          later(endpoint.stream, { nextAttemptAtMs, position: event.position });
        } else {
          push({ ...dueOf(event, endpoint.stream), fresh: true });
        }
      }
    },

    /** A wait was answered, or is over: what still asks for the answer is looked at, and cancelled. */
    async answered(event: RecordedEvent): Promise<void> {
      const known = knownAt(event);
      if (known.length === 0) return;
      const run = await ledger.find<Run>(event.stream);
      if (!run || run.state.waits.resolved.length === 0) return;
      const { waitId } = event.data;
      const before = await ledger.history(event.stream, 0, event.revision);
      const over = before.filter(
        ({ type, data }) => asks.has(type) && (waitId === undefined || data.waitId === waitId),
      );
      for (const wait of over) for (const { stream } of known) await isOver(wait, stream);
    },
  };
}
