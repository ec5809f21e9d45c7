/** One delivery that may be due: where it goes, and what owes it. */
export type Due = {
  delivery: string;
  endpoint: string;
  run: string;
  revision: number;
  position: bigint;
  workspace: string;
  /** Id of the event that owes it. */
  event: string;
};
