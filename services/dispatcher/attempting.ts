import type { EndpointHistory } from "../../shared/domain/endpoint/history.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import type { CustomHeaders } from "../../shared/webhooks/custom-headers.ts";
import type { Form, Rendered } from "./body.ts";
import type { Due } from "./due.ts";
import type { Outcome } from "./outcome.ts";
import type { PostRequest } from "./post.ts";

/** What became of an attempt, for the log and the metrics. */
export type Attempted = {
  deliveryId: string;
  endpointId: string;
  runId: string;
  attempt: number;
  outcome: string;
  httpStatus?: number;
  durationMs: number;
  nextAttemptAt?: string;
  sincePosition: bigint;
  timing: AttemptTiming;
};

/** What metrics are made of. */
export type AttemptTiming = {
  /** When its first attempt was due; undefined for one that was asked for again. */
  owedAtMs?: number;
  startedAtMs: number;
  isFirst: boolean;
  /** Whether nobody knows how the one before ended. */
  isRepeated: boolean;
};

export type AttemptDeps = {
  ledger: Ledger;
  clock: Clock;
  endpoints: EndpointHistory;
  /** Signing secrets by the ids of their keys. */
  secretsOf(keyIds: readonly string[]): Promise<string[]>;
  /** What to send; the very same bytes as were sent before, where there are such. */
  render(due: Due, form: Form): Promise<Rendered | undefined>;
  /** An endpoint's own headers, by the id of their key. */
  headersOf(keyId: string): Promise<CustomHeaders>;
  /** Whether nobody else can be attempting this delivery. */
  holds(delivery: string): boolean;
  /** Where an attempt was recorded, before it is sent. */
  onStarted(position: bigint): void;
  post(request: PostRequest, signal: AbortSignal): Promise<Outcome>;
  /** Until when nothing can be sent there, for a reason that is not the receiver's: epoch milliseconds; 0, or
   *  absent, for now. */
  heldUntilMs?(url: string): number;
  random(): number;
  onAttempt(attempted: Attempted): void;
  /** Whether the beginning of such an attempt's answer is recorded; it is where nobody says. */
  keepsExcerpt?(outcome: string): boolean;
};

/** When a delivery is to be looked at again: epoch milliseconds, or never; or when another one has ended. */
export type Next = { nextAttemptAtMs?: number; position?: bigint; behind?: string };
