/** One delivery that may be due: where it goes, and what owes it. */
export type Due = {
  delivery: string;
  endpoint: string;
  /** The event's stream, and its place in it. */
  source: string;
  revision: number;
  /** Where it was made to be owed: by the event, or by who asked for it later. */
  position: bigint;
  workspace: string;
  /** Whether nobody can have attempted it: then nothing is read before the first attempt is recorded, which
   *  tells whether that was true. */
  fresh?: true;
  /** Id of the event that owes it. */
  event: string;
  /** Whether it is to show that an endpoint which is paused answers again. */
  probe?: true;
  /** Lower goes first, at one endpoint. */
  urgency: number;
};
