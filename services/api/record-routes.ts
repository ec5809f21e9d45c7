import { z } from "zod";
import { foldRun } from "../../projections/runs/runs.ts";
import type { JsonObject, RecordedEvent } from "../../shared/domain/event.ts";
import { checkCreation, createRun, lastPosition } from "../../shared/intake/creation.ts";
import { BatchItem, creationItem, eventItem, NewRun } from "../../shared/intake/items.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { canonical } from "../../shared/verification/canonical.ts";
import { streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import { recordBatch } from "./batch.ts";
import { batchExample, createdExample, recordedExample } from "./examples.ts";
import { missingPermission, ProposedEvents, ProposedEventsShape, recording } from "./proposals.ts";
import { checkCommandIds, eventAnswer, statusAfterEvents, writeHeaders, writing } from "./recording.ts";
import { answer, commandOf, commandOnTopOf, type Route, route } from "./route.ts";
import { RunJson, readsContent, runJson } from "./run-json.ts";
import { RunParams } from "./runs.ts";

export type RecordDeps = {
  ledger: Ledger;
  limits: {
    recipientsMax: number;
    batchItemsMax: number;
    batchBytesMax: number;
    bodyBytesMax: number;
    metadataKeysMax: number;
  };
};

const RecordedEventJson = z.strictObject({
  id: z.string(),
  type: z.string(),
  revision: z.int(),
  position: z.string(),
  outcome: z.enum(["recorded", "replayed"]).optional(),
});

const BatchItemAnswer = z
  .discriminatedUnion("outcome", [
    z.strictObject({
      index: z.int(),
      ...RecordedEventJson.shape,
      outcome: z.enum(["recorded", "replayed"]),
      runId: z.string(),
    }),
    z.looseObject({
      index: z.int(),
      outcome: z.enum(["refused", "invalid"]),
      code: z.string().describe("Of a problem: `refused` by what the run is, `invalid` by what the item is."),
      detail: z.string(),
    }),
  ])
  .meta({ id: "BatchItemAnswer" });

/** Problems of who reports what happened to runs. */
const reporting = [...writing, "idempotency_conflict", "event_too_large", "at_in_future"] as const;

export function recordRoutes({ ledger, limits }: RecordDeps): Route[] {
  return [
    route({
      method: "post",
      path: "/v1/runs/{runId}/events",
      operationId: "recordEvents",
      summary: "Record what happened to a run: one event, or up to 100, all or nothing",
      permission: recording,
      request: {
        params: RunParams,
        body: ProposedEvents,
        bodyShape: ProposedEventsShape,
        headers: ["Idempotency-Key", "If-Match"],
      },
      responses: {
        201: z.strictObject({ events: z.array(RecordedEventJson), status: z.string(), position: z.string() }),
      },
      problems: [
        ...reporting,
        "transition_not_allowed",
        "wait_resolved",
        "wait_unknown",
        "parent_run",
        "run_full",
        "step_transition_not_allowed",
        "step_attempt_mismatch",
        "secret_input_not_yet",
        "command_id_twice",
        "revision_mismatch",
      ],
      example: recordedExample,
      async handle(call) {
        const { params, body, principal } = call;
        for (const { type } of body) {
          const missing = missingPermission(principal, type);
          if (missing) throw missing;
        }
        const items = body.map(eventItem);
        const command = commandOnTopOf(call);
        const own = checkCommandIds(items, command.commandId);
        const recorded = await ledger.record(streamOf(params.runId), {
          ...command,
          operation: "record_event",
          items,
        });
        const position = lastPosition(recorded.events);
        const events = recorded.outcomes.flatMap((each) => {
          if (each.outcome === "refused") return [];
          const outcome = each.outcome === "recorded" ? "recorded" : "replayed";
          return [own ? { ...eventAnswer(each.event), outcome } : eventAnswer(each.event)];
        });
        const status = await statusAfterEvents(ledger, recorded);
        return answer(
          201,
          { events, status, position: `${position}` },
          writeHeaders(position, recorded.replayed),
        );
      },
    }),
    route({
      method: "post",
      path: "/v1/runs",
      operationId: "createRun",
      summary: "Create a run, for everybody in `recipients` a run of its own",
      permission: "runs:create",
      request: { body: NewRun, headers: ["Idempotency-Key"] },
      responses: {
        201: z.strictObject({
          run: RunJson,
          recipientRuns: z.array(z.strictObject({ id: z.string(), recipient: z.unknown().optional() })),
          position: z.string(),
        }),
      },
      problems: [...reporting, "duplicate_recipients"],
      example: createdExample,
      async handle(call) {
        const item = creationItem(call.body);
        checkCreation(item, limits);
        const { recorded, created, children, position } = await createRun(ledger, commandOf(call), item);
        const content = readsContent(call.principal);
        const stored = content ? asStored(created) : created;
        const row = foldRun([stored]);
        if (!row) throw new Error("a created run has no row");
        const recipients = stored.content?.recipients as readonly unknown[] | undefined;
        const recipientRuns = children.map(({ stream }, index) => ({
          id: wireIdOf(stream),
          ...(content && recipients ? { recipient: recipients[index] } : {}),
        }));
        const headers = { ...writeHeaders(position, recorded.replayed), Location: `/v1/runs/${row.id}` };
        return answer(201, { run: runJson(row, content), recipientRuns, position: `${position}` }, headers);
      },
    }),
    route({
      method: "post",
      path: "/v1/events",
      operationId: "recordBatch",
      summary: "Record items of many runs; a bad item never fails the others",
      description:
        "An item names its run by `runId`, or by `runKey`: the command id that created it. `run.created` " +
        "is an item too. Items of one run are taken in order, each on top of the earlier accepted ones.",
      permission: [...recording, "runs:create"],
      request: {
        body: z.array(z.unknown()).min(1).max(limits.batchItemsMax),
        bodyShape: z.array(BatchItem).min(1).max(limits.batchItemsMax),
      },
      responses: { 200: z.strictObject({ items: z.array(BatchItemAnswer), position: z.string() }) },
      problems: [...writing],
      example: batchExample,
      bodyBytesMax: limits.batchBytesMax,
      async handle(call) {
        const asked = { ledger, principal: call.principal, caller: commandOf(call), limits };
        const { items, position } = await recordBatch(asked, call.body);
        const at = position > 0n ? position : await ledger.store.head();
        return answer(200, { items, position: `${at}` }, { "Ledger-Position": `${at}` });
      },
    }),
  ];
}

/** With the members of what was written in the order in which they are stored: an answer and its replay
 *  are the same bytes. */
const asStored = (event: RecordedEvent): RecordedEvent =>
  event.content === undefined
    ? event
    : { ...event, content: JSON.parse(canonical(event.content)) as JsonObject };
