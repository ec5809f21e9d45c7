import { EPOCH, type EventStore, type Position, UnusableLog } from "../event-store/event-store.ts";
import type { KeptHead, Vault } from "../vault/vault.ts";
import { movedPosition } from "./epochs.ts";

/** Refuses, in one line, a log that lacks the head that was kept. */
export async function checkHead(store: EventStore, vault: Pick<Vault, "head">): Promise<void> {
  const kept = await vault.head();
  if (kept) await checkKept(store, kept, "the vault");
}

/** Refuses, in one line, a log that lacks what is known of it elsewhere. */
export async function checkKept(
  store: Pick<EventStore, "ledger" | "head" | "at" | "read">,
  kept: KeptHead,
  where: string,
): Promise<void> {
  const head = await store.head();
  const older = kept.position / EPOCH < head / EPOCH;
  const position = older ? ((await movedPosition(store, kept.position)) ?? 0n) : kept.position;
  // What a new epoch's first event says was lost is no longer missed.
  if (older && position % EPOCH < kept.position % EPOCH) return;
  const event = await store.at(position);
  if (event && Buffer.compare(event.leaf, kept.leaf) === 0) return;
  const what = event ? "has another event there" : `ends at ${head}`;
  throw new UnusableLog(
    `${where} knows of position ${kept.position}, and the log ${what}: it was cut, restored or replaced; ` +
      "if that was meant, run: npm run new-epoch",
  );
}

export type HeadKeeperDeps = {
  store: Pick<EventStore, "head" | "at">;
  vault: Pick<Vault, "keepHead">;
  /** Waits, or less when it is aborted. */
  sleep: (ms: number, signal: AbortSignal) => Promise<unknown>;
  onFault: (error: unknown) => void;
};

const EVERY_MS = 1000;

/** Keeps the head, at most once a second, when it changed; and at the end. */
export function openHeadKeeper({ store, vault, sleep, onFault }: HeadKeeperDeps) {
  const ending = new AbortController();
  let last: Position = 0n;

  async function keep(): Promise<void> {
    try {
      const position = await store.head();
      if (position === last) return;
      const event = await store.at(position);
      if (!event) return;
      await vault.keepHead(position, event.leaf);
      last = position;
    } catch (error) {
      onFault(error); // The log is right without it; the next one is kept again.
    }
  }

  async function run(): Promise<void> {
    while (!ending.signal.aborted) {
      await keep();
      await sleep(EVERY_MS, ending.signal);
    }
    await keep();
  }
  const running = run();

  return {
    /** Keeps the head a last time. Call it before the log is closed. */
    async close(): Promise<void> {
      ending.abort();
      await running;
    },
  };
}
