/** How far the views are: what reads wait for. */
export type Progress = {
  position(): bigint;
  eventsSeen(): number;
  /** Whether every view has done its first catch-up. */
  live(): boolean;
  move(to: { position: bigint; eventsSeen: number; live: boolean }): void;
  /** Resolves with true as soon as the views have reached a position, with false when the signal is aborted
   *  before. */
  reached(position: bigint, signal: AbortSignal): Promise<boolean>;
  /** The same, once every view answers for the whole log too. */
  caughtUp(position: bigint, signal: AbortSignal): Promise<boolean>;
  /** Calls back after every move; returns what ends that. */
  onMove(listener: () => void): () => void;
};

/** `onWait` is called whenever somebody begins to wait. */
export function createProgress(onWait: () => void = () => {}): Progress {
  let at = { position: 0n, eventsSeen: 0, live: false };
  const listeners = new Set<() => void>();
  const onMove = (listener: () => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  };
  const until = (holds: () => boolean, signal: AbortSignal): Promise<boolean> => {
    if (holds() || signal.aborted) return Promise.resolve(holds());
    onWait();
    return new Promise((resolve) => {
      const look = () => {
        if (!holds() && !signal.aborted) return;
        end();
        signal.removeEventListener("abort", look);
        resolve(holds());
      };
      const end = onMove(look);
      signal.addEventListener("abort", look, { once: true });
    });
  };
  return {
    position: () => at.position,
    eventsSeen: () => at.eventsSeen,
    live: () => at.live,
    move(to) {
      at = to;
      for (const listener of [...listeners]) listener();
    },
    onMove,
    reached: (position, signal) => until(() => at.position >= position, signal),
    caughtUp: (position, signal) => until(() => at.live && at.position >= position, signal),
  };
}
