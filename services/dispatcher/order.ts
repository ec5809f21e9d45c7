import { foldOwing } from "../../projections/runs/owing-run.ts";
import type { Delivery } from "../../shared/domain/delivery/delivery.ts";
import type { EndpointHistory, EndpointVersion } from "../../shared/domain/endpoint/history.ts";
import { canOwe, needsTold, owedBy } from "../../shared/domain/endpoint/owed.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { valueAt } from "../../shared/domain/keyed.ts";
import type { Run } from "../../shared/domain/run/run.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { derivedId, streamOf } from "../../shared/verification/ids.ts";
import type { Due } from "./due.ts";

type Deps = { ledger: Ledger; endpoints: EndpointHistory };

/** The stream of what an event owes an endpoint: the same one whoever works it out. */
export const deliveryStream = (ledger: string, workspace: string, endpoint: string, event: string): string =>
  streamOf(
    derivedId({
      ledger,
      workspace,
      prefix: "delivery",
      scope: `dispatcher ${endpoint}`,
      commandId: event,
      index: 0,
    }),
  );

/** What keeps a delivery from being sent now: it is too late for it, or another of its run goes first. */
export type Hindrance = { kind: "superseded" } | { kind: "behind"; delivery: string };

/** Undefined where it may be sent. What somebody asked for is sent whatever has happened since, but not
 *  before what its endpoint wants to have first. */
export async function hindrance(
  deps: Deps,
  due: Due,
  { event, before }: { event: RecordedEvent; before: readonly RecordedEvent[] },
  { endpoint, requested }: { endpoint: EndpointVersion; requested: boolean },
): Promise<Hindrance | undefined> {
  if (!due.source.startsWith("run-")) return undefined;
  const { order = "unordered" } = endpoint.policy;
  if (!requested) {
    if (await isAnswered(deps, event)) return { kind: "superseded" };
    if (order === "newestOnly" && (await hasNewer(deps, due))) return { kind: "superseded" };
  }
  if (order !== "perRun") return undefined;
  // The last one may have been cancelled while one before it is still being sent.
  for (const earlier of before) {
    const delivery = deliveryStream(deps.ledger.id, due.workspace, due.endpoint, earlier.id);
    if (await isOpen(deps, due.endpoint, earlier, delivery)) return { kind: "behind", delivery };
  }
  return undefined;
}

/** Whether the run's earlier event is still to be sent: it was asked for, or it is owed by itself, and
 *  nothing has ended that. */
async function isOpen(
  { ledger, endpoints }: Deps,
  endpoint: string,
  earlier: RecordedEvent,
  delivery: string,
): Promise<boolean> {
  const state = (await ledger.find<Delivery>(delivery))?.state;
  if (state && state.status !== "open") return false;
  const owedSince =
    state && state.requestedBy !== null
      ? (await ledger.history(delivery)).findLast(({ type }) => type === "delivery.requested")?.position
      : endpoints.at(endpoint, earlier.position) && earlier.position;
  return owedSince !== undefined && !endpoints.endedSince(endpoint, owedSince);
}

/** Whether the wait that an event tells of has its answer, or was given up: nobody is asked for what is
 *  there. */
async function isAnswered({ ledger }: Deps, event: RecordedEvent): Promise<boolean> {
  if (event.type !== "run.awaiting_input" && event.type !== "run.awaiting_approval") return false;
  const run = await ledger.find<Run>(event.stream);
  return run !== undefined && valueAt(run.state.waits.resolved, String(event.data.waitId)) === true;
}

/** Whether the run has owed this endpoint something since. */
async function hasNewer({ ledger, endpoints }: Deps, due: Due): Promise<boolean> {
  const run = await ledger.find<Run>(due.source);
  if (!run || run.state.events <= due.revision + 1) return false;
  const thenOf = ({ position }: RecordedEvent) => endpoints.at(due.endpoint, position);
  const later = (await ledger.history(due.source, due.revision + 1)).filter((event) => canOwe(event));
  const created = { recipientRun: run.state.recipientIndex !== undefined, created: run.state };
  const looksInside = later.some((event) =>
    needsTold(
      event,
      [thenOf(event)].filter((then) => then !== undefined),
    ),
  );
  const owing = looksInside
    ? foldOwing(await ledger.history(due.source)).owing.filter(({ event }) => event.revision > due.revision)
    : later.map((event) => ({ event, run: created }));
  return owing.some(({ event, run: told }) => {
    const then = thenOf(event);
    return then !== undefined && owedBy(event, told, [then]).some(({ as }) => as === "owed");
  });
}
