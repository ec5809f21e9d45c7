/** Wakes those who follow the log. It carries nothing: a message may be late, doubled or lost, and whoever is
 *  woken reads the log from its own position. Losing the bus makes us late, never wrong. */
export interface Bus {
  /** The log has grown. */
  publish(): void;
  /** Calls `wake` after a publish, at least once for any number of them; returns what ends the
   *  subscription. */
  subscribe(wake: () => void): () => void;
  close(): Promise<void>;
}
