import { z } from "zod";
import { listRecipientRuns } from "../../projections/recipient-runs/recipient-runs.table.ts";
import { countRecipientRuns, listRuns, type RunRow, runsView } from "../../projections/runs/runs.table.ts";
import { foldRun } from "../../projections/runs/runs.ts";
import { RunId } from "../../shared/domain/run/events.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { streamOf } from "../../shared/verification/ids.ts";
import { pageExample, recipientRunExample, runExample } from "./examples.ts";
import { type Call, type Principal, type Route, route, taggedAnswer } from "./route.ts";
import { filterOf, filterQuery } from "./run-filter.ts";
import { RunJson, readsContent, runJson } from "./run-json.ts";
import {
  answerList,
  behind,
  type Lists,
  listing,
  listQuery,
  minPositionQuery,
  pageOf,
  waitFor,
} from "./views.ts";

export type ReadDeps = Lists & { ledger: Ledger };

export const RunParams = z.strictObject({ runId: RunId });

type Asking = Pick<Call, "headers" | "principal"> & { query: { minPosition?: string | undefined } };

/** A run's row: from the view, or, where the view cannot have it yet, folded from its own stream. Never a
 *  false 404. */
export async function readRun({ ledger, views }: ReadDeps, asking: Asking, runId: string) {
  const { workspace } = asking.principal;
  const stream = streamOf(runId);
  if (!views.live()) return { row: await foldedRun(ledger, stream, asking.principal), parked: undefined };
  await waitFor(views, asking);
  let found = await views.rows.get(runsView, runId);
  if (!found.row) {
    await ledger.get(stream, workspace); // Throws where there is nothing of this workspace.
    const head = await ledger.store.head();
    if (!(await views.reached(head, 2000))) throw behind(views, head);
    found = await views.rows.get(runsView, runId);
  }
  if (found.row?.workspace !== workspace) throw new Problem("not_found", "There is no such run.");
  return { row: found.row, parked: found.parked };
}

async function foldedRun(ledger: Ledger, stream: string, { workspace }: Principal): Promise<RunRow> {
  await ledger.get(stream, workspace);
  const row = foldRun(await ledger.history(stream));
  if (!row) throw new Problem("not_found", "There is no such run.");
  return row;
}

export function runReadRoutes(deps: ReadDeps): Route[] {
  const { views } = deps;

  /** With the counts of its recipient runs where it has some. */
  async function withCounts(row: RunRow, content: boolean) {
    const counts = row.recipientCount === null ? undefined : await countRecipientRuns(views.rows, row.id);
    return runJson(row, content, counts);
  }

  const listed = (path: `/${string}`, operationId: string, summary: string, read: typeof listRuns): Route =>
    route({
      method: "get",
      path,
      operationId,
      summary,
      permission: "runs:list",
      request: { query: listQuery(deps.pageSizeMax, filterQuery), headers: ["Ledger-Min-Position"] },
      responses: { 200: pageOf(RunJson) },
      problems: listing,
      example: pageExample(path === "/v1/runs" ? runExample.answer : recipientRunExample),
      async handle(call) {
        const content = readsContent(call.principal);
        const filter = filterOf(call.query);
        return answerList<RunRow>(deps, call, {
          view: operationId,
          orderOf: (row) => row.createdPosition,
          json: (row) => withCounts(row, content),
          read: (workspace, paging) => read(views.rows, workspace, filter, paging),
        });
      },
    });

  return [
    route({
      method: "get",
      path: "/v1/runs/{runId}",
      operationId: "getRun",
      summary: "A run, or a recipient run, as it is now",
      permission: "runs:read",
      request: {
        params: RunParams,
        query: z.strictObject(minPositionQuery),
        headers: ["Ledger-Min-Position", "If-None-Match"],
      },
      responses: { 200: RunJson, 304: null },
      problems: ["projection_behind"],
      example: runExample,
      async handle(call) {
        const { row, parked } = await readRun(deps, call, call.params.runId);
        const counted = row.recipientCount !== null && views.live();
        const counts = counted ? await countRecipientRuns(views.rows, row.id) : undefined;
        return taggedAnswer(call, row.revision, runJson(row, readsContent(call.principal), counts, parked));
      },
    }),
    listed("/v1/runs", "listRuns", "Runs that are nobody's recipient run, newest first", listRuns),
    listed(
      "/v1/recipient-runs",
      "listRecipientRuns",
      "Recipient runs of all runs, newest first",
      listRecipientRuns,
    ),
    route({
      method: "get",
      path: "/v1/runs/{runId}/recipient-runs",
      operationId: "listRunRecipientRuns",
      summary: "The recipient runs of a run, newest first",
      permission: "runs:list",
      request: {
        params: RunParams,
        query: listQuery(deps.pageSizeMax, filterQuery).omit({ parentId: true }),
        headers: ["Ledger-Min-Position"],
      },
      responses: { 200: pageOf(RunJson) },
      problems: listing,
      example: pageExample(recipientRunExample),
      async handle(call) {
        const { runId } = call.params;
        await readRun(deps, call, runId);
        const content = readsContent(call.principal);
        const filter = filterOf({ ...call.query, parentId: runId });
        return answerList<RunRow>(deps, call, {
          view: "listRunRecipientRuns",
          below: { runId },
          orderOf: (row) => row.createdPosition,
          json: (row) => runJson(row, content),
          read: (workspace, paging) => listRecipientRuns(views.rows, workspace, filter, paging),
        });
      },
    }),
  ];
}
