/** A server that tests share, or that one test has for itself. */
export type Running = {
  /** Its address, as the variable that stands in for it would have it. */
  address: string;
  /** Ends it, and removes what it kept. */
  stop(): Promise<void>;
};
