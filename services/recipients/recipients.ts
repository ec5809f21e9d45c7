import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { RunEvent } from "../../shared/domain/run/events.ts";
import { parentEnd, someLeftPending } from "../../shared/domain/run/recipients.ts";
import { isTerminal, type Run, statusAfter } from "../../shared/domain/run/run.ts";
import type { Command } from "../../shared/ledger/command.ts";
import { Refusal } from "../../shared/ledger/command.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import {
  childEventId,
  childStream,
  createChildren,
  parentEventId,
  recipientsActor,
} from "../../shared/ledger/recipients.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import { streamOf } from "../../shared/verification/ids.ts";
import { createTally, type Tally } from "./tally.ts";

type Deps = {
  ledger: Ledger;
  clock: Clock;
  /** Parents that are open as the views know them, once these have reached the head that was seen at the
   *  start. */
  openParents(signal: AbortSignal): AsyncIterable<string>;
  onFault(error: Error): void;
};

type Parent = { workspace: string; created: RecordedEvent; tally: Tally; sinceMs: number };

const SWEEP_MS = 1000;
const PARENTS_MAX = 2000;

/** Makes the recipient runs that a crash left unmade, and moves parents with them: started when the first
 *  leaves pending, ended when all have ended, cancelled through them. It judges only what is open, and
 *  everything it records has a derived id: it can be killed at any instruction, and run twice. */
export function openRecipients({ ledger, clock, openParents, onFault }: Deps) {
  const parents = new Map<string, Parent>();
  let work: Promise<void> = Promise.resolve();
  let isOver = (): boolean => false;
  /** What failed is done again at the next sweep: every job may be repeated. */
  const failed: (() => Promise<void>)[] = [];
  const enqueue = (job: () => Promise<void>): void => {
    // What is left when it is to end is somebody else's, who finds it in the views and in the log.
    work = work
      .then(() => (isOver() ? undefined : job()))
      .catch((error: Error) => {
        failed.push(job);
        onFault(error);
      });
  };

  /** The parent with the statuses of its recipient runs, read from their streams. */
  async function load(stream: string): Promise<Parent | undefined> {
    const known = parents.get(stream);
    if (known) return known;
    const fold = await ledger.find<Run>(stream);
    if (!fold || fold.state.recipientCount === undefined || isTerminal(fold.state.status)) return undefined;
    const [created] = await ledger.history(stream, 0, 1);
    if (!created) return undefined;
    const workspace = fold.workspace ?? "";
    const tally = createTally(fold.state.recipientCount);
    for (let index = 0; index < tally.runs.total; index++) {
      const child = await ledger.find<Run>(childStream(ledger, workspace, stream, index));
      if (child && child.state.status !== "unknown") tally.set(index, child.state.status);
    }
    const parent = { workspace, created, tally, sinceMs: clock.now() };
    parents.set(stream, parent);
    if (parents.size > PARENTS_MAX) {
      for (const [
        oldest,
        {
          tally: { missing },
        },
      ] of parents) {
        if (missing() === 0 && oldest !== stream) parents.delete(oldest);
        if (parents.size <= PARENTS_MAX) break;
      }
    }
    return parent;
  }

  const command = (parent: Parent, items: Command["items"]): Command => ({
    workspace: parent.workspace,
    actor: recipientsActor,
    requestId: null,
    correlationId: parent.created.meta.correlationId,
    operation: "record_event",
    items,
  });

  async function move(
    stream: string,
    parent: Parent,
    what: "started" | "ended",
    proposed: RunEvent,
  ): Promise<void> {
    const made = {
      id: parentEventId(ledger, parent.workspace, stream, what),
      causationId: parent.tally.causationId ?? parent.created.id,
    };
    await ledger.record(stream, command(parent, [{ proposed: proposed as never, made }]));
  }

  /** Asks every open recipient run to end; the pending ones, which nobody executes, end at once, also where
   *  somebody has asked them before. */
  async function cancel(stream: string, parent: Parent, request: RecordedEvent): Promise<void> {
    for (let index = 0; index < parent.tally.runs.total; index++) {
      const child = childStream(ledger, parent.workspace, stream, index);
      for (;;) {
        const fold = await ledger.find<Run>(child);
        if (!fold || isTerminal(fold.state.status)) break;
        const isPending = fold.state.status === "pending";
        if (fold.state.cancelRequested && !isPending) break;
        const reason = request.data.reason === undefined ? {} : { reason: request.data.reason };
        const types = isPending ? ["cancel_requested", "cancelled"] : ["cancel_requested"];
        const items = types.map((type) => ({
          proposed: { type: `run.${type}`, data: reason },
          made: { id: childEventId(ledger, parent.workspace, child, type), causationId: request.id },
        }));
        try {
          await ledger.record(child, { ...command(parent, items), ifRevision: fold.events - 1 });
          break;
        } catch (error) {
          // It moved meanwhile: judge it again.
          if (!(error instanceof Refusal) || error.code !== "revision_mismatch") throw error;
        }
      }
    }
  }

  async function judge(stream: string): Promise<void> {
    const parent = await load(stream);
    if (!parent) return;
    if (parent.tally.missing() > 0) return;
    const fold = await ledger.find<Run>(stream);
    if (!fold || isTerminal(fold.state.status)) {
      parents.delete(stream);
      return;
    }
    if (fold.state.status === "pending" && someLeftPending(parent.tally.runs)) {
      await move(stream, parent, "started", { type: "run.started", data: {} });
    }
    const end = parentEnd(parent.tally.runs);
    if (end) {
      await move(stream, parent, "ended", end);
      parents.delete(stream);
    }
  }

  /** Makes what is missing, hands on a cancellation, and moves the parent: all that can be open after a
   *  crash. */
  async function repair(stream: string): Promise<void> {
    let parent = await load(stream);
    if (!parent) return;
    if (parent.tally.missing() > 0) {
      await createChildren(ledger, parent.created);
      parents.delete(stream);
      parent = await load(stream);
      if (!parent) return;
    }
    const fold = await ledger.find<Run>(stream);
    if (fold?.state.cancelRequested) {
      const events = await ledger.history(stream);
      const request = events.find(({ type }) => type === "run.cancel_requested");
      if (request) await cancel(stream, parent, request);
      parents.delete(stream); // Its recipient runs have moved: they are read again.
    }
    await judge(stream);
  }

  async function childMoved(event: RecordedEvent, run: Run): Promise<void> {
    const { parentId, recipientIndex, status } = run;
    if (parentId === undefined || recipientIndex === undefined || status === "unknown") return;
    const stream = streamOf(parentId);
    const parent = await load(stream);
    if (!parent) return;
    parent.tally.set(recipientIndex, status);
    parent.tally.causationId = event.id;
    if (status !== "pending") await judge(stream);
  }

  return {
    /** The next event of the log. Quick: what follows from it is done behind. */
    take(event: RecordedEvent): void {
      if (!event.stream.startsWith("run-")) return;
      if (event.type === "run.created" && event.data.recipientCount !== undefined) {
        enqueue(async () => void (await load(event.stream)));
      } else if (event.type === "run.cancel_requested") {
        enqueue(async () => {
          const fold = await ledger.known<Run>(event.stream);
          if (fold?.state.recipientCount !== undefined) await repair(event.stream);
        });
      } else if (statusAfter[event.type as RunEvent["type"]] !== undefined) {
        const known = ledger.peek<Run>(event.stream);
        if (known && known.events > 0 && known.state.recipientIndex === undefined) return;
        enqueue(async () => {
          const fold = await ledger.known<Run>(event.stream);
          if (fold) await childMoved(event, fold.state);
        });
      }
    },
    /** Judges what was open before, then, now and then, looks for recipient runs that somebody began to make
     *  and did not. */
    async run(signal: AbortSignal): Promise<void> {
      isOver = () => signal.aborted;
      for await (const stream of openParents(signal)) {
        if (signal.aborted) break;
        enqueue(() => repair(stream));
        await work;
      }
      while (!signal.aborted) {
        await clock.sleep(SWEEP_MS, signal);
        for (const job of failed.splice(0)) enqueue(job);
        for (const [stream, { tally, sinceMs }] of parents) {
          if (tally.missing() > 0 && clock.now() - sinceMs >= SWEEP_MS) enqueue(() => repair(stream));
        }
      }
      await work;
    },
    /** Resolves when everything taken so far is done. */
    settled: (): Promise<void> => work,
  };
}
