import type { ListQuery, Page, RowReader } from "../row-store.ts";
import { listRunRows, type RunFilter, type RunRow } from "../runs/runs.table.ts";

/** Recipient runs of all parents, or, with `parentId`, of one. They are rows of the runs' table. */
export const listRecipientRuns = (
  rows: RowReader,
  workspace: string,
  filter: RunFilter,
  paging: Pick<ListQuery, "after" | "before" | "limit">,
): Promise<Page<RunRow>> => listRunRows(rows, { workspace, list: "recipient_runs" }, filter, paging);
