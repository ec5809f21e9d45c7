import { z } from "zod";
import { listRecipientRuns } from "../../projections/recipient-runs/recipient-runs.table.ts";
import { countRecipientRuns, listRuns, type RunRow, runsView } from "../../projections/runs/runs.table.ts";
import { foldRun } from "../../projections/runs/runs.ts";
import { listSteps, type StepRow } from "../../projections/steps/steps.table.ts";
import { RunId } from "../../shared/domain/run/events.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { streamOf } from "../../shared/verification/ids.ts";
import { runStream } from "./recording.ts";
import { answer, type Call, type Principal, type Route, route, taggedAnswer } from "./route.ts";
import { filterOf, filterQuery } from "./run-filter.ts";
import { EventJson, eventJson, RunJson, readsContent, runJson, StepJson, stepJson } from "./run-json.ts";
import {
  answerPage,
  behind,
  minPositionQuery,
  pageOf,
  pagingQuery,
  requireLive,
  type Views,
  waitFor,
} from "./views.ts";

export type ReadDeps = { ledger: Ledger; views: Views; cursorSecret: Buffer; pageSizeMax: number };

export const RunParams = z.strictObject({ runId: RunId });
export const sizesOf = ({ pageSizeMax }: { pageSizeMax: number }) => ({ usual: 50, max: pageSizeMax });

/** A run's row: from the view, or, where the view cannot have it yet, folded from its own stream. Never a false 404. */
export async function readRun({ ledger, views }: ReadDeps, call: Call, runId: string) {
  const query = call.query as { minPosition?: string };
  const stream = runStream(runId);
  if (!views.live()) return { row: await foldedRun(ledger, stream, call.principal), parked: undefined };
  await waitFor(views, { headers: call.headers, query });
  let found = await views.rows.get(runsView, runId);
  if (!found.row) {
    const fold = await ledger.get(stream, call.principal.workspace);
    const head = await ledger.store.head();
    if (fold.events > 0 && !(await views.reached(head, 2000))) throw behind(views, head);
    found = await views.rows.get(runsView, runId);
  }
  if (found.row?.workspace !== call.principal.workspace)
    throw new Problem("not_found", "There is no such run.");
  return { row: found.row, parked: found.parked };
}

async function foldedRun(ledger: Ledger, stream: string, { workspace }: Principal): Promise<RunRow> {
  await ledger.get(stream, workspace);
  const row = foldRun(await ledger.history(stream));
  if (!row) throw new Problem("not_found", "There is no such run.");
  return row;
}

/** A run's row as JSON, with the counts of its recipient runs where it has some. */
async function withRecipients({ views }: ReadDeps, row: RunRow, content: boolean) {
  const counts = row.recipientCount === null ? undefined : await countRecipientRuns(views.rows, row.id);
  return runJson(row, content, counts);
}

export function runReadRoutes(deps: ReadDeps): Route[] {
  const { views, cursorSecret: secret } = deps;
  const sizes = sizesOf(deps);
  const paging = pagingQuery(sizes.max);
  const listed = (
    list: "runs" | "recipient_runs",
    operationId: string,
    summary: string,
    read: typeof listRuns,
  ): Route =>
    route({
      method: "get",
      path: list === "runs" ? "/v1/runs" : "/v1/recipient-runs",
      operationId,
      summary,
      permission: "runs:list",
      request: {
        query: z.strictObject({ ...filterQuery, ...paging, ...minPositionQuery }),
        headers: ["Ledger-Min-Position"],
      },
      responses: { 200: pageOf(RunJson) },
      problems: ["invalid_cursor", "projection_behind", "views_rebuilding"],
      async handle({ query, headers, principal }) {
        requireLive(views);
        await waitFor(views, { headers, query });
        const { after: _, before: __, pageSize: ___, minPosition: ____, ...filter } = query;
        const { workspace } = principal;
        const scope = { view: list, workspace, filter };
        const content = readsContent(principal);
        const rows: RunRow[] = [];
        const page = await answerPage<RunRow>(
          {
            scope,
            secret,
            query,
            sizes,
            orderOf: (row) => row.createdPosition,
            json: (row) => rows.push(row),
          },
          (where) => read(views.rows, workspace, filterOf(filter), where),
        );
        return answer(200, {
          ...page,
          items: await Promise.all(rows.map((row) => withRecipients(deps, row, content))),
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
      async handle(call) {
        const { row, parked } = await readRun(deps, call as Call, call.params.runId);
        const counted = row.recipientCount !== null && views.live();
        const counts = counted ? await countRecipientRuns(views.rows, row.id) : undefined;
        return taggedAnswer(call, row.revision, runJson(row, readsContent(call.principal), counts, parked));
      },
    }),
    listed("runs", "listRuns", "Runs that are nobody's recipient run, newest first", listRuns),
    listed(
      "recipient_runs",
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
        query: z.strictObject({ ...filterQuery, ...paging, ...minPositionQuery }).omit({ parentId: true }),
        headers: ["Ledger-Min-Position"],
      },
      responses: { 200: pageOf(RunJson) },
      problems: ["invalid_cursor", "projection_behind", "views_rebuilding"],
      async handle(call) {
        requireLive(views);
        const { query, params, principal } = call;
        await readRun(deps, call as unknown as Call, params.runId);
        const { after: _, before: __, pageSize: ___, minPosition: ____, ...filter } = query;
        const content = readsContent(principal);
        const scope = {
          view: "recipient_runs",
          workspace: principal.workspace,
          filter: { ...filter, under: params.runId },
        };
        return answer(
          200,
          await answerPage<RunRow>(
            {
              scope,
              secret,
              query,
              sizes,
              orderOf: (row) => row.createdPosition,
              json: (row) => runJson(row, content),
            },
            (where) =>
              listRecipientRuns(
                views.rows,
                principal.workspace,
                filterOf({ ...filter, parentId: params.runId }),
                where,
              ),
          ),
        );
      },
    }),
    route({
      method: "get",
      path: "/v1/runs/{runId}/steps",
      operationId: "listRunSteps",
      summary: "The steps of a run, in the order in which they first appeared",
      permission: "runs:read",
      request: {
        params: RunParams,
        query: z.strictObject({ ...paging, ...minPositionQuery }),
        headers: ["Ledger-Min-Position"],
      },
      responses: { 200: pageOf(StepJson) },
      problems: ["invalid_cursor", "projection_behind", "views_rebuilding"],
      async handle(call) {
        requireLive(views);
        const { query, params, principal } = call;
        await readRun(deps, call as unknown as Call, params.runId);
        const scope = { view: "steps", workspace: principal.workspace, filter: { runId: params.runId } };
        const content = readsContent(principal);
        return answer(
          200,
          await answerPage<StepRow>(
            {
              scope,
              secret,
              query,
              sizes,
              orderOf: (row) => row.createdPosition,
              json: (row) => stepJson(row, content),
            },
            (where) => listSteps(views.rows, params.runId, where),
          ),
        );
      },
    }),
    route({
      method: "get",
      path: "/v1/runs/{runId}/events",
      operationId: "listRunEvents",
      summary: "What happened to a run, oldest first: its own stream, never behind",
      permission: "runs:read",
      request: {
        params: RunParams,
        query: z.strictObject({
          after: z
            .string()
            .regex(/^(?:-1|\d{1,5})$/, "must be a revision")
            .optional(),
          pageSize: paging.pageSize,
        }),
      },
      responses: { 200: z.strictObject({ items: z.array(EventJson), next: z.int(), hasMore: z.boolean() }) },
      problems: [],
      async handle({ params, query, principal }) {
        const fold = await deps.ledger.get(streamOf(params.runId), principal.workspace);
        const after = Number(query.after ?? -1);
        const size = Math.min(Number(query.pageSize ?? sizes.max), sizes.max);
        const events = await deps.ledger.history(streamOf(params.runId), after + 1, size);
        const content = readsContent(principal);
        const next = events.at(-1)?.revision ?? after;
        return answer(200, {
          items: events.map((event) => eventJson(event, content)),
          next,
          hasMore: next < fold.events - 1,
        });
      },
    }),
  ];
}
