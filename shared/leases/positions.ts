import type { Lease } from "./leases.ts";

/** The last event that a follower has done its part for, and that event's leaf hash: a log without it is
 *  another log. */
export type StoredPosition = { position: bigint; leaf: Buffer };

/** Where followers are that keep a place of their own: those whose work shows neither in the log nor in the
 *  views. */
export interface Positions {
  /** Undefined for a follower that has kept none. */
  find(name: string): Promise<StoredPosition | undefined>;
  /** Durable when it resolves. Under a lease that is somebody else's by now: LeaseLost, and nothing is
   *  kept. */
  save(name: string, at: StoredPosition, lease: Lease): Promise<void>;
  close(): Promise<void>;
}
