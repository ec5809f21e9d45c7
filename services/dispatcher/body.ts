import { hash } from "node:crypto";
import { foldRun } from "../../projections/runs/runs.ts";
import type { EndpointHistory, EndpointVersion } from "../../shared/domain/endpoint/history.ts";
import { canOwe, owedBy } from "../../shared/domain/endpoint/owed.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import type { Due } from "./due.ts";
import { aboutEndpoint } from "./endpoint-body.ts";
import { runV1, thinRunV1 } from "./run-body.ts";

/** What is posted: bytes that are signed as they are, and never made in another way for the same delivery. */
export type Body = Buffer;

type Deps = { ledger: Ledger; endpoints: EndpointHistory; bytesMax: number };

/** Everything that a body is a function of. */
export type BodyFacts = {
  deliveryId: string;
  event: RecordedEvent;
  type: string;
  /** Id of the run's last earlier event that was owed to this endpoint. */
  previous: string | null;
  /** What it tells, and what of it fits into any body. */
  full: object;
  thin: object;
};

/** What a delivery is made of: its bytes, the event that it tells of, and the id of the run's last earlier
 *  event that was owed to the endpoint. */
export type Rendered = { body: Body; event: RecordedEvent; previous: string | null };

/** What of a delivery decides its form, beside its event. */
export type Form = { bodySha256: string | null; requestedAsOf: number | null };

/** A delivery, out of the log alone: full or thin as it was sent before, whatever the operator says of sizes
 *  by now. Undefined where the event or the endpoint is not there to be told of, or where the bytes that were
 *  sent cannot be made again. */
export async function renderDelivery(
  deps: Deps,
  due: Due,
  { bodySha256, requestedAsOf }: Form,
): Promise<Rendered | undefined> {
  const { ledger, endpoints, bytesMax } = deps;
  const events = await ledger.history(due.source, 0, due.revision + 1);
  const event = events.at(-1);
  if (event?.revision !== due.revision) return undefined;
  // Where it did not exist then, it is told as it was when somebody asked for it.
  const then = endpoints.at(due.endpoint, event.position);
  const endpoint = then ?? asOf(endpoints, due.endpoint, requestedAsOf);
  if (!endpoint) return undefined;
  const about = due.source.startsWith("run-")
    ? aboutRun(events, endpoint, endpoints)
    : aboutEndpoint(events, endpoint);
  if (!about) return undefined;
  const { previous } = about;
  const facts = { deliveryId: wireIdOf(due.delivery), event, ...about };
  const render = (most: number) => renderBody(endpoint.bodyVersion, facts, most);
  if (bodySha256 === null) {
    const body = render(endpoint.policy.payload === "thin" ? 0 : bytesMax);
    return body && { body, event, previous };
  }
  const forms = [Number.POSITIVE_INFINITY, 0].map(render);
  const body = forms.find((form) => form !== undefined && sha256(form) === bodySha256);
  return body && { body, event, previous };
}

/** An endpoint that history reaches later than it was: as if it had been there all the time. */
const asOf = (endpoints: EndpointHistory, stream: string, revision: number | null) => {
  const version = revision === null ? undefined : endpoints.atRevision(stream, revision);
  return version && { ...version, position: 0n };
};

function aboutRun(events: readonly RecordedEvent[], endpoint: EndpointVersion, endpoints: EndpointHistory) {
  const run = foldRun(events);
  const event = events.at(-1);
  if (!run || !event) return undefined;
  const recipientRun = run.list === "recipient_runs";
  const previous = events.slice(0, -1).findLast((earlier) => {
    if (!canOwe(earlier)) return false;
    const then = endpoint.position === 0n ? endpoint : endpoints.at(endpoint.stream, earlier.position);
    return then !== undefined && owedBy(earlier, { recipientRun }, [then]).some(({ as }) => as === "owed");
  });
  return {
    type: event.type,
    previous: previous?.id ?? null,
    full: { run: runV1(run, event) },
    thin: { run: thinRunV1(run), dataUrl: `/v1/runs/${run.id}` },
  };
}

export const sha256 = (body: Body): string => hash("sha256", body, "hex");

/** A body in a version's form. A version's bytes never change: what is new is another version. */
export function renderBody(version: number, facts: BodyFacts, bytesMax: number): Buffer | undefined {
  if (version !== 1) return undefined;
  const full = bytesMax > 0 ? Buffer.from(JSON.stringify(envelope(facts, facts.full))) : undefined;
  if (full && full.length <= bytesMax) return full;
  return Buffer.from(JSON.stringify(envelope(facts, facts.thin)));
}

const envelope = ({ deliveryId, event, type, previous }: BodyFacts, data: object) => ({
  id: deliveryId,
  type,
  timestamp: event.meta.at,
  data,
  ledger: {
    event: event.id,
    revision: event.revision,
    previous,
    hash: Buffer.from(event.leaf).toString("hex"),
  },
});
