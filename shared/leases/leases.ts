/** The right to be the only one who does something, for a while at a time. */
export type Lease = {
  readonly name: string;
  /** Grows with every holder: what a former holder still writes under a lower one is refused. */
  readonly token: bigint;
  /** Aborted as soon as the lease may be somebody else's, and when it is given back: whoever works under it
   *  stops. */
  readonly signal: AbortSignal;
  /** Gives it back, so that the next holder need not wait until it runs out. */
  release(): Promise<void>;
};

/** Of many processes one holds a lease of a name. A holder that dies loses it when it runs out. */
export interface Leases {
  /** Resolves once this process holds the lease; with undefined when aborted before. */
  acquire(name: string, signal: AbortSignal): Promise<Lease | undefined>;
  /** Gives back what is held. */
  close(): Promise<void>;
}

/** What was written under a lease that is somebody else's by now: nothing of it was kept. */
export class LeaseLost extends Error {
  readonly code = "lease_lost";
  constructor(name: string) {
    super(`the lease ${name} is somebody else's`);
  }
}
