/** The right to attempt a delivery, for a while at a time. Claims only save work: what keeps two dispatchers
 *  from recording the same attempt is the log. */
export type Claims = {
  /** How long the claims of a process that says nothing more last; undefined where nobody else claims. */
  readonly leaseMs: number | undefined;
  /** Whether it is this process's to attempt a delivery now. It stays so until it is released, as long as
   *  this process goes on. False too where nobody can be asked. */
  claim(delivery: string): true | Promise<boolean>;
  /** Whether nobody else can have claimed it since. */
  holds(delivery: string): boolean;
  /** Gives it back once what was done is recorded; `isOpen` says whether it is to be attempted again. */
  release(delivery: string, isOpen: boolean): void;
  /** Gives everything back. */
  close(): Promise<void>;
};

/** Claims of the only dispatcher there is. */
export const soleClaims: Claims = {
  leaseMs: undefined,
  claim: () => true,
  holds: () => true,
  release() {},
  close: async () => {},
};
