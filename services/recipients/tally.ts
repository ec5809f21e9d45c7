import type { RecipientRuns } from "../../shared/domain/run/recipients.ts";
import type { Status } from "../../shared/domain/run/run.ts";

/** A parent's recipient runs as their own streams tell them. */
export type Tally = {
  readonly runs: RecipientRuns;
  /** The event that moved one of them last: the cause of what the ledger records on the parent. */
  causationId: string | null;
  status(index: number): Status | undefined;
  set(index: number, status: Status): void;
  /** Those that do not exist yet. */
  missing(): number;
};

export function createTally(total: number): Tally {
  const statuses: (Status | undefined)[] = Array.from({ length: total });
  const byStatus: Partial<Record<Status, number>> = {};
  let known = 0;
  return {
    runs: { total, byStatus },
    causationId: null,
    status: (index) => statuses[index],
    set(index, status) {
      const before = statuses[index];
      if (before === status) return;
      if (before === undefined) known++;
      else if (byStatus[before] === 1) delete byStatus[before];
      else byStatus[before] = (byStatus[before] ?? 0) - 1;
      byStatus[status] = (byStatus[status] ?? 0) + 1;
      statuses[index] = status;
    },
    missing: () => total - known,
  };
}
