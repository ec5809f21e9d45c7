import { hash } from "node:crypto";
import { foldOwing } from "../../projections/runs/owing-run.ts";
import { runV1, runV2, thinRunV1, thinRunV2 } from "../../projections/runs/run-body.ts";
import type { RunRow } from "../../projections/runs/runs.table.ts";
import type { EndpointHistory, EndpointVersion } from "../../shared/domain/endpoint/history.ts";
import { owedBy } from "../../shared/domain/endpoint/owed.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import type { Due } from "./due.ts";
import { aboutEndpoint } from "./endpoint-body.ts";

/** What is posted: bytes that are signed as they are, and never made in another way for the same delivery. */
export type Body = Buffer;

type Deps = {
  /** The first events of a stream. */
  historyOf(stream: string, count: number): Promise<readonly RecordedEvent[]>;
  endpoints: EndpointHistory;
  bytesMax: number;
};

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

/** What a delivery is made of: its bytes, the event that it tells of, and the run's earlier events that were
 *  owed to the endpoint, the last one first. */
export type Rendered = { body: Body; event: RecordedEvent; before: readonly RecordedEvent[] };

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
  const { historyOf, endpoints, bytesMax } = deps;
  const events = await historyOf(due.source, due.revision + 1);
  const event = events.at(-1);
  if (event?.revision !== due.revision) return undefined;
  // Where it did not exist then, it is told as it was when somebody asked for it.
  const then = endpoints.at(due.endpoint, event.position);
  const endpoint = then ?? asOf(endpoints, due.endpoint, requestedAsOf);
  if (!endpoint) return undefined;
  const about = due.source.startsWith("run-")
    ? aboutRun(events, endpoint, endpoints)
    : aboutEndpoint(events, (run, told) => runFacts(endpoint.bodyVersion, run, told));
  if (!about) return undefined;
  const { before } = about;
  const previous = before[0]?.id ?? null;
  const facts = { deliveryId: wireIdOf(due.delivery), event, previous, ...about };
  const render = (most: number) => renderBody(endpoint.bodyVersion, facts, most);
  if (bodySha256 === null) {
    const body = render(endpoint.policy.payload === "thin" ? 0 : bytesMax);
    return body && { body, event, before };
  }
  const forms = [Number.POSITIVE_INFINITY, 0].map(render);
  const body = forms.find((form) => form !== undefined && sha256(form) === bodySha256);
  return body && { body, event, before };
}

/** An endpoint that history reaches later than it was: as if it had been there all the time. */
const asOf = (endpoints: EndpointHistory, stream: string, revision: number | null) => {
  const version = revision === null ? undefined : endpoints.atRevision(stream, revision);
  return version && { ...version, position: 0n };
};

/** What several endpoints are told is folded once. */
const folded = new WeakMap<readonly RecordedEvent[], ReturnType<typeof foldOwing>>();

function foldOnce(events: readonly RecordedEvent[]): ReturnType<typeof foldOwing> {
  const fold = folded.get(events) ?? foldOwing(events);
  folded.set(events, fold);
  return fold;
}

function aboutRun(events: readonly RecordedEvent[], endpoint: EndpointVersion, endpoints: EndpointHistory) {
  const { run, owing } = foldOnce(events);
  const event = events.at(-1);
  if (!run || !event) return undefined;
  const earlier = owing.filter(({ event: before, run: then }) => {
    if (before === event) return false;
    const { stream, position } = endpoint;
    const to = position === 0n ? endpoint : endpoints.at(stream, before.position);
    return to !== undefined && owedBy(before, then, [to]).some(({ as }) => as === "owed");
  });
  const { full, thin } = runFacts(endpoint.bodyVersion, run, event);
  return {
    type: event.type,
    before: earlier.map(({ event: before }) => before).reverse(),
    full: { run: full },
    thin: { run: thin, dataUrl: `/v1/runs/${run.id}` },
  };
}

/** How a version tells a run: all of it, and what fits into any body. */
const runFacts = (version: number, run: RunRow, event: RecordedEvent): { full: object; thin: object } =>
  version === 1
    ? { full: runV1(run, event), thin: thinRunV1(run) }
    : { full: runV2(run, event), thin: thinRunV2(run) };

export const sha256 = (body: Body): string => hash("sha256", body, "hex");

/** The versions of bodies that there are. They differ in what they tell of a run. */
const bodyVersions: readonly number[] = [1, 2];

/** A body in a version's form. A version's bytes never change: what is new is another version. */
export function renderBody(version: number, facts: BodyFacts, bytesMax: number): Buffer | undefined {
  if (!bodyVersions.includes(version)) return undefined;
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
