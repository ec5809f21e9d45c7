import { hash } from "node:crypto";
import type { RunRow } from "../../projections/runs/runs.table.ts";
import { foldRun } from "../../projections/runs/runs.ts";
import type { EndpointHistory } from "../../shared/domain/endpoint/history.ts";
import { canOwe, owedBy } from "../../shared/domain/endpoint/owed.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { RecipientRuns } from "../../shared/domain/run/recipients.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import type { Due } from "./due.ts";

/** What is posted: bytes that are signed as they are, and never made in another way for the same delivery. */
export type Body = Buffer;

type Deps = { ledger: Ledger; endpoints: EndpointHistory; bytesMax: number };

/** Everything that a body is a function of. */
export type BodyFacts = {
  deliveryId: string;
  event: RecordedEvent;
  /** The run folded up to the event. */
  run: RunRow;
  /** Id of the run's last earlier event that was owed to this endpoint. */
  previous: string | null;
};

/** The body of a delivery, out of the log alone: full or thin as it was sent before, whatever the operator
 *  says of sizes by now. Undefined where the event or the endpoint is not there to be told of, or where the
 *  bytes that were sent cannot be made again. */
export async function renderDelivery(
  { ledger, endpoints, bytesMax }: Deps,
  due: Due,
  sentSha256: string | null,
): Promise<Body | undefined> {
  const events = await ledger.history(due.run, 0, due.revision + 1);
  const event = events.at(-1);
  const run = foldRun(events);
  const version = endpoints.at(due.endpoint, due.position)?.bodyVersion;
  if (!run || !version || event?.revision !== due.revision) return undefined;
  const recipientRun = run.list === "recipient_runs";
  const previous = events.findLast((earlier) => {
    if (earlier.revision >= due.revision || !canOwe(earlier)) return false;
    const then = endpoints.at(due.endpoint, earlier.position);
    return then !== undefined && owedBy(earlier, { recipientRun }, [then]).some(({ as }) => as === "owed");
  });
  const facts: BodyFacts = { deliveryId: wireIdOf(due.delivery), event, run, previous: previous?.id ?? null };
  if (sentSha256 === null) return renderBody(version, facts, bytesMax);
  const forms = [Number.POSITIVE_INFINITY, 0].map((most) => renderBody(version, facts, most));
  return forms.find((body) => body !== undefined && sha256(body) === sentSha256);
}

export const sha256 = (body: Body): string => hash("sha256", body, "hex");

/** A body in a version's form. A version's bytes never change: what is new is another version. */
export function renderBody(version: number, facts: BodyFacts, bytesMax: number): Buffer | undefined {
  if (version !== 1) return undefined;
  const full = Buffer.from(JSON.stringify(envelope(facts, { run: runV1(facts.run, facts.event) })));
  if (full.length <= bytesMax) return full;
  const thin = { run: thinRunV1(facts.run), dataUrl: `/v1/runs/${facts.run.id}` };
  return Buffer.from(JSON.stringify(envelope(facts, thin)));
}

const envelope = ({ deliveryId, event, previous }: BodyFacts, data: object) => ({
  id: deliveryId,
  type: event.type,
  timestamp: event.meta.at,
  data,
  ledger: {
    event: event.id,
    revision: event.revision,
    previous,
    hash: Buffer.from(event.leaf).toString("hex"),
  },
});

/** What of a run fits into any body. */
const thinRunV1 = (run: RunRow) => ({
  id: run.id,
  workspace: run.workspace,
  workflow: run.workflow,
  status: run.status,
  revision: run.revision,
  parentId: run.parentId,
  recipientIndex: run.recipientIndex,
  recipientCount: run.recipientCount,
  errorCount: run.errorCount,
  attempt: run.attempt,
  currentStateName: run.currentStateName,
  percent: run.percent,
  reason: run.reason,
  createdAt: run.createdAt,
  updatedAt: run.updatedAt,
  startedAt: run.startedAt,
  completedAt: run.completedAt,
  durationMs: run.durationMs,
});

/** The whole run. What was not given, or was erased, is absent; so are counts of recipient runs before their
 *  parent's end. */
const runV1 = (run: RunRow, event: RecordedEvent) => ({
  ...thinRunV1(run),
  recipient: run.recipient,
  recipientRuns: event.data.recipientRuns as RecipientRuns | undefined,
  waits: run.waits,
  input: run.input,
  output: run.output,
  error: run.error,
  metadata: run.metadata,
});
