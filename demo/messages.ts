/** An event that the API has answered for: from then on it may never be lost. */
export type Acknowledged = { runId: string; revision: number; type: string; id?: string };

/** A request that reached the receiver's door. `sha256` is of its body, byte by byte. */
export type Received = {
  id: string;
  runId: string;
  type: string;
  verified: boolean;
  sha256: string;
  /** The event that it tells of, and the hash by which the body vouches for it. */
  event: string;
  hash: string;
  /** Whether the receiver had done the work of this id before. */
  again: boolean;
};

/** A run that was made, and its recipient runs. */
export type Created = { workflow: string; runId: string; recipientRuns: { id: string; recipient: string }[] };

/** What the receiver and the producer tell the story's teller. */
export type Told =
  | { kind: "listening"; url: string }
  | ({ kind: "received" } & Received)
  | ({ kind: "created" } & Created)
  | ({ kind: "acknowledged" } & Acknowledged)
  | { kind: "said"; text: string }
  | { kind: "done"; retried: number; replayed: number }
  | { kind: "failed"; message: string };

/** What the receiver is told: its endpoint's secret, and a key of its own for answering. */
export type ReceiverOrder = { secret: string; api: string; key: string };

/** What the producer is told: where to report, and a folder to work in. */
export type ProducerOrder = { api: string; key: string; folder: string };

/** Tells whoever started this process; without anybody there is nobody to tell, and the process ends. */
export function tell(told: Told): void {
  process.send?.(told, undefined, undefined, () => {});
}

/** The one order that this process gets. When whoever gave it goes away, the process ends. */
export function ordered<Order>(): Promise<Order> {
  process.once("disconnect", () => process.exit());
  // Both ends of the channel are the demo's.
  return new Promise((resolve) => process.once("message", (order) => resolve(order as Order)));
}
