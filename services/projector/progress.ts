/** How far the views are: what reads wait for. */
export type Progress = {
  position(): bigint;
  eventsSeen(): number;
  /** Whether every view has done its first catch-up. */
  live(): boolean;
  move(to: { position: bigint; eventsSeen: number; live: boolean }): void;
  /** Resolves with true as soon as the views have reached a position, with false when the signal is aborted before. */
  reached(position: bigint, signal: AbortSignal): Promise<boolean>;
  /** Calls back after every move; returns what ends that. */
  onMove(listener: () => void): () => void;
};

export function createProgress(): Progress {
  let at = { position: 0n, eventsSeen: 0, live: false };
  const listeners = new Set<() => void>();
  const onMove = (listener: () => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
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
    reached(position, signal) {
      if (at.position >= position) return Promise.resolve(true);
      if (signal.aborted) return Promise.resolve(false);
      return new Promise((resolve) => {
        const done = (result: boolean) => {
          end();
          signal.removeEventListener("abort", aborted);
          resolve(result);
        };
        const aborted = () => done(false);
        const end = onMove(() => {
          if (at.position >= position) done(true);
        });
        signal.addEventListener("abort", aborted, { once: true });
      });
    },
  };
}
