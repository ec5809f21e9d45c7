import { setTimeout as sleep } from "node:timers/promises";
import { EPOCH, type EventStore, type Position, UnusableLog } from "../shared/event-store/event-store.ts";
import type { EventStoreDbMove, Moving } from "../shared/event-store/eventstoredb-move.ts";
import type { MovedEvent } from "../shared/event-store/moved-event.ts";
import { copyLog, type LogSource } from "../shared/ledger/copy-log.ts";
import { checkCopy, countErased, type Survey } from "../shared/ledger/copy-survey.ts";
import { epochAfter, startEpoch } from "../shared/ledger/epochs.ts";
import { openStreamKeys } from "../shared/ledger/stream-keys.ts";
import type { Config } from "../shared/platform/config.ts";
import type { EventStoreDbConfig } from "../shared/platform/engines.ts";
import { ledgerOver, openReport } from "./copying.ts";
import { removeViews } from "./kept.ts";
import type { Storage } from "./storage.ts";

/** Every so many events it is noted where they are now. */
const NOTED_EVENTS = 500;

export type CopyAsked = {
  config: Config & { eventStoreDb: EventStoreDbConfig };
  source: LogSource;
  survey: Survey;
  /** What the log comes from, for people. */
  from: string;
  /** Positions that somebody knows of; the new epoch is above them. */
  seen: readonly Position[];
  /** Opened as the servers will open them. */
  storage: Pick<Storage, "vault" | "postgres">;
  say(line: string): void;
  /** Called when everything is there: from here on the source must never be written again. */
  closeSource(): Promise<void> | void;
};

/** Copies a log into EventStoreDB, or goes on with that. Before the source is closed nobody can write to the
 *  copy, and afterwards nobody to the source. */
export async function copyIntoEventStoreDb(asked: CopyAsked): Promise<"moved" | "was there"> {
  const { config, source, survey, from, seen, storage, say } = asked;
  const { openEventStoreDbMove } = await import("../shared/event-store/eventstoredb-move.ts");
  const { openEventStoreDb } = await import("../shared/event-store/eventstoredb-event-store.ts");
  const { url, streamPrefix, sealContent } = config.eventStoreDb;
  const keys = openStreamKeys(storage.vault);
  const place = { url, streamPrefix, keys };
  const move = await openEventStoreDbMove({ ...place, ledger: source.ledger });
  const closing: (() => Promise<unknown>)[] = [() => move.close()];
  try {
    const now = await move.state();
    const leaf = Buffer.from(survey.leaf).toString("hex");
    if (now.state === "moved" && now.leaf === leaf) return "was there";
    const epoch = now.state === "moving" ? now.epoch : epochAfter(survey.head, seen);
    if (epoch <= survey.head / EPOCH)
      throw new UnusableLog(
        `the log under ${streamPrefix} was begun before the source began epoch ${survey.head / EPOCH}: ` +
          "choose another RUNLEDGER_STREAM_PREFIX",
      );
    say(`copying ${survey.events} events of ${survey.streams} streams`);
    const moving: Moving = { ledger: source.ledger, epoch, from, head: survey.head, leaf };
    await move.begin(moving);
    const store = await openEventStoreDb({
      ...place,
      isSealing: sealContent,
      ledger: source.ledger,
      isMove: true,
    });
    closing.push(() => store.close());
    if (!(await hasBegun(store, epoch, survey))) await copy(asked, { store, move, epoch });
    await asked.closeSource();
    say("the source is closed: from here on nothing is written there");
    const position = await begin(asked, store, epoch);
    say(`epoch ${epoch} began at position ${position}`);
    await move.finish(moving);
    return "moved";
  } finally {
    for (const step of closing.reverse()) await step();
  }
}

/** Whether the copy was whole before, and its epoch has begun: then nothing is left to be copied. */
async function hasBegun(store: EventStore, epoch: bigint, { leaf }: Survey): Promise<boolean> {
  const last = await store.at(await store.head());
  const previous = Buffer.from(leaf).toString("hex");
  return (
    last?.type === "ledger.epoch_started" &&
    last.data.previousLeafHash === previous &&
    last.data.epoch === Number(epoch)
  );
}

async function copy(
  { config, source, survey, storage, say }: CopyAsked,
  { store, move, epoch }: { store: EventStore; move: EventStoreDbMove; epoch: bigint },
): Promise<void> {
  const report = openReport(say, survey.events);
  const keys = config.eventStoreDb.sealContent ? openStreamKeys(storage.vault) : undefined;
  let sinceNoted = NOTED_EVENTS;
  const target = {
    store,
    epoch,
    async onComing(events: readonly MovedEvent[]) {
      // Keys that are made in one turn become durable together.
      const sealed = events.filter(({ content }) => content !== undefined);
      await Promise.all([...new Set(sealed.map(({ stream }) => stream))].map((each) => keys?.keyOf(each)));
    },
    async onCopied(events: readonly MovedEvent[], positions: readonly Position[]) {
      sinceNoted += events.length;
      const [first, now] = [events[0], positions[0]];
      if (sinceNoted <= NOTED_EVENTS || !first || now === undefined) return;
      await move.note({ now: now % EPOCH, was: first.was });
      sinceNoted = 0;
    },
  };
  const { copied } = await copyLog(source, target, {
    now: Date.now,
    sleep,
    onProgress: (to) => report.onProgress(to),
  });
  say(`copied ${copied} events, ${report.rate()} events/s`);
  // What was erased since the source was written stays erased, whatever it brings.
  await checkCopy(store, survey, async () => {
    const count = keys ? await countErased(source, keys) : 0;
    say(`${count} events came without content that was erased since`);
    return count;
  });
  say(`verified ${survey.events} events of ${survey.streams} streams, digest ${survey.digest}`);
}

/** The epoch, the views and the head that is kept: everything that must be so before a server starts. */
async function begin(
  { config, survey, storage }: CopyAsked,
  store: EventStore,
  epoch: bigint,
): Promise<Position> {
  // Views are built again from the copy, wherever they were.
  await removeViews(config, undefined);
  if (storage.postgres) await removeViews(config, storage.postgres);
  if (!(await hasBegun(store, epoch, survey)))
    await startEpoch(ledgerOver(store, config), [], { epoch, head: survey.head });
  const head = await store.head();
  const last = await store.at(head);
  const position = epoch * EPOCH + (head % EPOCH);
  if (last) await storage.vault.keepHead(position, last.leaf);
  return position;
}
