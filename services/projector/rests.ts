/** How long the projector is left alone after it was woken: what is recorded meanwhile shares a
 *  transaction. */
const REST_MS = 10;
/** The same while much is recorded: a row that changes again soon is then written once. */
const LONG_REST_MS = 100;
/** Appends a second that are much. */
const MUCH = 2000;

type Deps = {
  wake(): void;
  /** Calls back after `ms`; answers with what prevents that. */
  after(ms: number, call: () => void): () => void;
};

/** Wakes the projector when the log has grown, and leaves it alone in between; longer under load, but never
 *  while somebody waits for the views. */
export function openRests({ wake, after }: Deps) {
  /** Appends in this rest; undefined outside of one. */
  let grown: number | undefined;
  let isAwaited = false;
  let end = () => {};

  function rest(appendsBefore: number, ms: number): void {
    const isMuch = (appendsBefore * 1000) / ms >= MUCH;
    const nextMs = isMuch && !isAwaited ? LONG_REST_MS : REST_MS;
    isAwaited = false;
    grown = 0;
    wake();
    end = after(nextMs, () => over(nextMs));
  }

  function over(ms: number): void {
    const appends = grown ?? 0;
    grown = undefined;
    if (appends > 0) rest(appends, ms);
  }

  return {
    /** The log has grown. */
    grown(): void {
      if (grown === undefined) rest(1, LONG_REST_MS);
      else grown++;
    },
    /** Somebody waits for the views: they are to be there soon. */
    hurry(): void {
      isAwaited = true;
      if (grown === undefined || grown === 0) return;
      end();
      over(LONG_REST_MS);
    },
    close: (): void => end(),
  };
}
