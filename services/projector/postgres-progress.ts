import type { ViewStatus } from "../../projections/row-store.ts";
import type { Postgres } from "../../shared/postgres/postgres.ts";
import { createProgress, type Progress } from "./progress.ts";

export type PostgresProgressDeps = {
  /** Every version of every view there is, as they are in PostgreSQL. */
  views(): Promise<ViewStatus[]>;
  /** Where whoever projects tells of every commit: a hint to look at the views. */
  channel: string;
  /** Looked at without being told, at least so often: a hint may be lost. */
  lookMs?: number;
  /** The views cannot be looked at; said once until they can be. */
  onFault(error: Error): void;
  /** Called whenever somebody begins to wait. */
  onWait?: () => void;
};

/** How far the views are, for a process that does not project: as soon as whoever does has committed. */
export async function openPostgresProgress(
  postgres: Pick<Postgres, "listen">,
  { views, channel, lookMs = 1000, onFault, onWait }: PostgresProgressDeps,
): Promise<Progress & { close(): Promise<void> }> {
  const progress = createProgress(onWait);
  let looking: Promise<void> | undefined;
  let again = false;
  let failing = false;
  let closed = false;

  /** What is told while it looks is seen by one more look. */
  async function look(): Promise<void> {
    do {
      again = false;
      try {
        const at = progressOf(await views());
        failing = false;
        if (!closed && hasMoved(progress, at)) progress.move(at);
      } catch (error) {
        if (!failing && !closed) onFault(error as Error);
        failing = true;
      }
    } while (again && !closed);
    looking = undefined;
  }
  const lookAgain = () => {
    again = true;
    looking ??= look();
  };

  const stopListening = await postgres.listen(channel, lookAgain);
  const timer = setInterval(lookAgain, lookMs);
  lookAgain();
  await looking;
  return {
    ...progress,
    async close() {
      closed = true;
      clearInterval(timer);
      await stopListening();
      await looking;
    },
  };
}

type At = Parameters<Progress["move"]>[0];

const hasMoved = (progress: Progress, { position, eventsSeen, live }: At): boolean =>
  position !== progress.position() || eventsSeen !== progress.eventsSeen() || live !== progress.live();

/** As far as the view that is the furthest behind, of what readers get: the version that serves, and where
 *  none does yet, the newest. */
export function progressOf(statuses: readonly ViewStatus[]): At {
  const read = new Map<string, ViewStatus>();
  for (const status of statuses) {
    const known = read.get(status.name);
    const isBetter =
      known === undefined ||
      (known.state === status.state ? known.version < status.version : status.state === "live");
    if (isBetter) read.set(status.name, status);
  }
  const all = [...read.values()].sort((a, b) => (a.position < b.position ? -1 : 1));
  return {
    position: all[0]?.position ?? 0n,
    eventsSeen: all[0]?.eventsSeen ?? 0,
    live: all.length > 0 && all.every(({ state }) => state === "live"),
  };
}
