import type { EndpointHealthRow } from "../../projections/endpoint-health/endpoint-health.table.ts";
import { endpointOf } from "../../projections/endpoint-health/endpoint-health.ts";
import {
  decideHealth,
  evolveHealth,
  type Health,
  unknownHealth,
  type Verdict,
} from "../../shared/domain/endpoint/health.ts";
import type { Actor, RecordedEvent } from "../../shared/domain/event.ts";
import { Refusal } from "../../shared/ledger/command.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import { derivedId, streamOf, wireIdOf } from "../../shared/verification/ids.ts";

/** What the views know of endpoints' health, and as of which position. */
export type KnownHealth = { row: EndpointHealthRow; position: bigint };

/** A step that was recorded, for the log and the metrics. */
export type HealthStep = { type: Verdict["type"]; endpointId: string; workspace: string; reason: string };

export type HealthDeps = {
  ledger: Ledger;
  clock: Clock;
  /** Every endpoint's, from views that have reached at least this position. */
  knownHealth(position: bigint, signal: AbortSignal): AsyncIterable<KnownHealth>;
  /** How far the log is that what follows is not told of. */
  from: bigint;
  onStep(step: HealthStep): void;
  onFault(error: Error): void;
};

type Due = { verdict: Verdict; workspace: string; revision: number; id: string };
type Known = { health: Health; workspace: string; position: bigint };

const created = ({ type, meta }: RecordedEvent): Known | undefined =>
  type === "endpoint.created"
    ? { health: unknownHealth, workspace: meta.workspace ?? "", position: 0n }
    : undefined;
const stepOf = (stream: string, workspace: string, { type, reason }: Verdict): HealthStep => ({
  type,
  endpointId: wireIdOf(stream),
  workspace,
  reason,
});
const keyOf = ({ id, revision }: Due): string => `${id} ${revision}`;
const actor: Actor = { type: "system", id: "dispatcher" };
/** Events that are kept while the views catch up; when there are more they are found there. */
const WAITING_MAX = 10_000;
const FAULT_PAUSE_MS = 1000;

/** The health ladder at work: folds how endpoints answer, and records each step that this makes due. Whoever
 *  follows the log comes to the same steps under the same ids: one of them is recorded, whoever is first. */
export function openHealth({ ledger, clock, knownHealth, from, onStep, onFault }: HealthDeps) {
  const all = new Map<string, Known>();
  const recording = new Map<string, Promise<void>>();
  const tried = new Map<string, string>();
  /** Steps that may have been recorded though nobody could say so. */
  const uncertain = new Set<string>();
  let waiting: RecordedEvent[] | undefined = [];
  let wanted = from;
  let until = new AbortController().signal;

  function fold(event: RecordedEvent): void {
    const id = endpointOf(event);
    if (id === undefined) return;
    const stream = streamOf(id);
    const known = all.get(stream) ?? created(event);
    // The views had it, or the endpoint answers after its deletion.
    if (!known || event.position <= known.position) return;
    const health = evolveHealth(known.health, event);
    if (health.status === "deleted") forget(stream);
    else all.set(stream, { ...known, health, position: event.position });
    const step = known.health.verdict;
    if (step && uncertain.delete(event.id)) onStep(stepOf(stream, known.workspace, step));
    act(stream);
  }

  function forget(stream: string): void {
    all.delete(stream);
    tried.delete(stream);
  }

  /** Records what is due of an endpoint, one step at a time and each once: what the log says of it comes
   *  through `take`. */
  function act(stream: string): void {
    const due = dueOf(stream);
    if (!due || recording.has(stream) || tried.get(stream) === keyOf(due) || until.aborted) return;
    const work = attempt(stream, due).finally(() => {
      recording.delete(stream);
      act(stream);
    });
    recording.set(stream, work);
  }

  async function attempt(stream: string, due: Due): Promise<void> {
    try {
      await record(stream, due);
      tried.set(stream, keyOf(due));
    } catch (error) {
      uncertain.add(due.id);
      onFault(error as Error);
      await clock.sleep(FAULT_PAUSE_MS, until);
    }
  }

  function dueOf(stream: string): Due | undefined {
    const known = all.get(stream);
    const verdict = known && decideHealth(known.health);
    if (!verdict) return undefined;
    const { workspace, health } = known;
    const from = { ledger: ledger.id, workspace, prefix: "evt" as const, scope: `health ${stream}` };
    const id = derivedId({ ...from, commandId: verdict.by, index: 0 });
    return { verdict, workspace, revision: health.revision, id };
  }

  async function record(stream: string, { verdict, workspace, revision, id }: Due): Promise<void> {
    const { type, reason, by } = verdict;
    const items = [{ proposed: { type, data: { reason } }, made: { id, causationId: by } }];
    const who = { workspace, actor, requestId: null, correlationId: null };
    const command = { ...who, operation: "record_health", items, ifRevision: revision };
    try {
      const recorded = await ledger.record(stream, command);
      const isOurs = recorded.replayed === false || uncertain.has(id);
      uncertain.delete(id);
      if (isOurs) onStep(stepOf(stream, workspace, verdict));
    } catch (error) {
      // It has moved since: what is due then follows from what it is now.
      if (!(error instanceof Refusal)) throw error;
    }
  }

  async function load(signal: AbortSignal): Promise<void> {
    for (let loaded = -1n; loaded < wanted && !signal.aborted; ) {
      loaded = wanted;
      all.clear();
      for await (const { row, position } of knownHealth(wanted, signal)) {
        const { id, workspace, createdPosition: _, updatedPosition: __, ...health } = row;
        all.set(streamOf(id), { health, workspace, position });
      }
    }
  }

  return {
    /** The next event of the log. */
    take(event: RecordedEvent): void {
      if (endpointOf(event) === undefined) return;
      if (!waiting) fold(event);
      else if (waiting.push(event) > WAITING_MAX) {
        wanted = event.position;
        waiting = [];
      }
    },
    /** An endpoint's health, once it is known. */
    of: (stream: string): Health | undefined => all.get(stream)?.health,
    /** Every endpoint that is there, with its health. */
    all: (): Iterable<[stream: string, known: { health: Health }]> => all,
    /** Learns what is known, and goes on from there. Resolves when it is aborted and nothing is being
     *  recorded. */
    async run(signal: AbortSignal): Promise<void> {
      until = signal;
      if (waiting) await load(signal);
      if (signal.aborted) return;
      const missed = waiting ?? [];
      waiting = undefined;
      for (const event of missed) fold(event);
      for (const stream of all.keys()) act(stream);
      if (!signal.aborted)
        await new Promise((stop) => signal.addEventListener("abort", stop, { once: true }));
      await Promise.all([...recording.values()]);
    },
  };
}

export type HealthLadder = ReturnType<typeof openHealth>;
