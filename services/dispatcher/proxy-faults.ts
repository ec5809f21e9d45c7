/** How a proxy fails us: nobody is there; it wants other credentials; it will not have this target; it speaks
 *  no HTTP; it did not get through; it says nothing; it goes away. */
export type ProxyFailure =
  | "unreachable"
  | "unauthorized"
  | "denied"
  | "garbage"
  | "failed"
  | "timed_out"
  | "silent"
  | "closed";

type ReceiversWord = "refused" | "timeout_connect" | "reset";

/** What these may also be: a receiver that could not be reached, if it is the proxy that says so. */
const receiversWords: Partial<Record<ProxyFailure, ReceiversWord>> = {
  failed: "refused",
  timed_out: "timeout_connect",
  silent: "timeout_connect",
  closed: "reset",
};
/** With these nothing gets through, wherever it goes. */
const forAll: ReadonlySet<ProxyFailure> = new Set(["unreachable", "unauthorized"]);

/** The proxy did not let us through. */
export class ProxyFailed extends Error {
  readonly code: string;
  readonly failure: ProxyFailure;
  /** What it is called where it is the receiver's; undefined where it is the operator's. */
  readonly word: ReceiversWord | undefined;
  constructor(failure: ProxyFailure, word: ReceiversWord | undefined, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = `PROXY_${failure.toUpperCase()}`;
    this.failure = failure;
    this.word = word;
  }
}

type Options = {
  now(): number;
  /** Told of each failure that is the operator's. */
  onFailed(error: ProxyFailed): void;
};

/** For how long a proxy that let somebody through is known to work. */
const PROVEN_MS = 60_000;
/** How long nothing is sent after a failure: doubled by each that follows. One receiver waits for longer than
 *  all do: it may be the one that is not there, and each attempt is in the log. */
const HOLD_MS_MIN = 1000;
const HOLD_MS_MAX = { everywhere: 30_000, one: 300_000 };
/** How long the one that is let go first may take before another is. */
const TRIAL_MS = 5000;
const TARGETS_MAX = 10_000;
const EVERYWHERE = "";

type Hold = { untilMs: number; pauseMs: number; onTrial: boolean };

/** Whose fault it is that a proxy does not let us through, and for how long it is not asked again. A proxy
 *  that got somebody through within the last minute works: that it does not get to one receiver is that
 *  receiver's fault. Otherwise it is the operator's, and no receiver is blamed. */
export function openProxyFaults({ now, onFailed }: Options) {
  const holds = new Map<string, Hold>();
  let provenMs = Number.NEGATIVE_INFINITY;

  function hold(target: string): void {
    const known = holds.get(target);
    // Those that were under way together fail together, and count once.
    if (known && !known.onTrial && known.untilMs > now()) return;
    const maxMs = target === EVERYWHERE ? HOLD_MS_MAX.everywhere : HOLD_MS_MAX.one;
    const pauseMs = Math.min(known ? known.pauseMs * 2 : HOLD_MS_MIN, maxMs);
    if (holds.size >= TARGETS_MAX) holds.clear();
    holds.set(target, { untilMs: now() + pauseMs, pauseMs, onTrial: false });
  }

  return {
    /** Somebody was let through, or answered. */
    proven(target: string): void {
      provenMs = now();
      if (holds.size === 0) return;
      holds.delete(EVERYWHERE);
      holds.delete(target);
    },
    failed(target: string, failure: ProxyFailure, message: string, cause?: unknown): ProxyFailed {
      const isProven = now() - provenMs < PROVEN_MS;
      const error = new ProxyFailed(failure, isProven ? receiversWords[failure] : undefined, message, cause);
      if (error.word !== undefined) return error;
      hold(forAll.has(failure) ? EVERYWHERE : target);
      onFailed(error);
      return error;
    },
    /** Until when nothing is to be sent there; 0 for now. Once the time is over one is let go, and the others
     *  wait for what becomes of it. */
    heldUntilMs(target: string): number {
      if (holds.size === 0) return 0;
      const found = [holds.get(EVERYWHERE), holds.get(target)].filter((known) => known !== undefined);
      const untilMs = Math.max(0, ...found.map((known) => known.untilMs));
      if (untilMs > now()) return untilMs;
      for (const known of found) Object.assign(known, { untilMs: now() + TRIAL_MS, onTrial: true });
      return 0;
    },
  };
}

export type ProxyFaults = ReturnType<typeof openProxyFaults>;
