import { z } from "zod";
import { listSteps, type StepRow } from "../../projections/steps/steps.table.ts";
import { eventJson } from "../../shared/ledger/event-json.ts";
import { streamOf } from "../../shared/verification/ids.ts";
import { eventExample, pageExample, stepExample } from "./examples.ts";
import { answer, type Route, route } from "./route.ts";
import { EventJson, readsContent, StepJson, stepJson } from "./run-json.ts";
import { type ReadDeps, RunParams, readRun } from "./runs.ts";
import { answerList, listing, listQuery, minPositionQuery, pageOf, pageSizeQuery } from "./views.ts";

const Revision = z
  .string()
  .regex(/^(?:-1|\d{1,5})$/, "must be a revision")
  .describe("A revision: what comes behind it. -1 is the beginning.");

/** What a run is made of: its steps, and its events. */
export function runPartRoutes(deps: ReadDeps): Route[] {
  const { ledger, views, pageSizeMax } = deps;
  return [
    route({
      method: "get",
      path: "/v1/runs/{runId}/steps",
      operationId: "listRunSteps",
      summary: "The steps of a run, in the order in which they first appeared",
      permission: "runs:read",
      request: {
        params: RunParams,
        query: listQuery(pageSizeMax, {}),
        headers: ["Ledger-Min-Position"],
      },
      responses: { 200: pageOf(StepJson) },
      problems: listing,
      example: pageExample(stepExample),
      async handle(call) {
        const { runId } = call.params;
        await readRun(deps, call, runId);
        const content = readsContent(call.principal);
        return answerList<StepRow>(deps, call, {
          view: "listRunSteps",
          below: { runId },
          orderOf: (row) => row.createdPosition,
          json: (row) => stepJson(row, content),
          read: (_, paging) => listSteps(views.rows, runId, paging),
        });
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
          after: Revision.optional(),
          pageSize: pageSizeQuery(pageSizeMax),
          ...minPositionQuery,
        }),
      },
      responses: { 200: z.strictObject({ items: z.array(EventJson), next: z.int(), hasMore: z.boolean() }) },
      problems: [],
      example: { answer: { items: [eventExample], next: 3, hasMore: false } },
      async handle({ params, query, principal }) {
        const stream = streamOf(params.runId);
        const fold = await ledger.get(stream, principal.workspace);
        const after = Number(query.after ?? -1);
        const events = await ledger.history(stream, after + 1, Number(query.pageSize ?? pageSizeMax));
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
