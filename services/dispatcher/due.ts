/** One delivery that may be due: where it goes, and what owes it. */
export type Due = {
  delivery: string;
  endpoint: string;
  run: string;
  revision: number;
  position: bigint;
  workspace: string;
  /** Whether nobody can have attempted it: then nothing is read before the first attempt is recorded, which
   *  tells whether that was true. */
  fresh?: true;
  /** Id of the event that owes it. */
  event: string;
};
