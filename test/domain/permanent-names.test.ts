import { describe, expect, it } from "vitest";
import { apiKeyEvents, workspaceEvents } from "../../shared/domain/access/events.ts";
import { deliveryEvents } from "../../shared/domain/delivery/events.ts";
import { endpointEvents } from "../../shared/domain/endpoint/events.ts";
import type { EventType } from "../../shared/domain/event.ts";
import { ledgerEvents } from "../../shared/domain/log/events.ts";
import { replayEvents } from "../../shared/domain/replay/events.ts";
import { runEvent, runEvents } from "../../shared/domain/run/events.ts";

/** Every type with its structure and its content, as the first log contains them. Lines and names are only
 *  ever added. */
const PERMANENT = `
run.created: parentId recipientCount recipientIndex test workflow | input metadata recipient recipients
run.accepted: |
run.started: |
run.resumed: |
run.paused: reason | note
run.waiting: reason | note
run.awaiting_input: expiresAt kind waitId | hint prompt
run.input_given: waitId | input
run.awaiting_approval: expiresAt stepRef waitId | message
run.approval_given: waitId | comment
run.approved: waitId | comment
run.rejected: waitId | comment
run.completed: recipientRuns | output
run.completed_no_action: recipientRuns | output
run.failed: hasError reason recipientRuns | error
run.errored: hasError reason recipientRuns | error
run.timed_out: hasError reason recipientRuns | error
run.aborted: hasError reason recipientRuns | error
run.cancel_requested: reason | note
run.cancelled: reason recipientRuns | note
run.progressed: percent stateName |
run.noted: attempt name outcome stepRef stepType | detail error
step.scheduled: name stepRef stepType | arguments
step.started: attempt stepRef stepType | arguments
step.completed: attempt stepRef | result
step.failed: attempt stepRef | error
step.skipped: reason stepRef stepType | note
workspace.created: | name
workspace.updated: | name
api_key.created: expiresAt permissions secretHash | name
api_key.rotated: overlapUntil secretHash |
api_key.revoked: |
endpoint.created: attemptsMax bodyVersion filter headerFamilies headerNames headersKeyId order \
payload perSecondMax recipientRuns retriedStatuses scheduleMs secretKeyIds status timeoutMs types \
weight | description match url
endpoint.updated: attemptsMax bodyVersion filter headerFamilies headerNames headersKeyId order \
payload perSecondMax recipientRuns retriedStatuses scheduleMs secretKeyIds status timeoutMs types \
weight | description match url
endpoint.degraded: reason | note
endpoint.recovered: reason | note
endpoint.paused: reason | note
endpoint.resumed: reason | note
endpoint.disabled: reason | note
endpoint.enabled: reason | note
endpoint.deleted: reason | note
endpoint.secret_rotated: overlapUntil secretKeyIds |
endpoint.example_requested: type |
endpoint.challenge_requested: |
delivery.requested: endpoint endpointRevision event reason replay revision source type |
delivery.attempted: attempt bodyBytes bodySha256 endpoint endpointRevision event replay revision \
scheduleStep secretKeyIds source type |
delivery.responded: attempt directive durationMs endpoint httpStatus nextAttemptAt outcome \
responseBytes | excerpt
delivery.cancelled: reason |
delivery.exhausted: endpoint event revision source type |
replay.requested: endpoint endpointRevision from kind perSecondMax until |
replay.progressed: position requested |
replay.completed: requested |
replay.cancel_requested: |
replay.cancelled: reason requested |
ledger.content_erased: class count reason recordedUntil through type |
`;

const all: readonly EventType[] = [
  ...runEvents,
  ...workspaceEvents,
  ...apiKeyEvents,
  ...endpointEvents,
  ...deliveryEvents,
  ...replayEvents,
  ...ledgerEvents,
];

describe("the types of events", () => {
  it("keep their names, and each member its place, for ever", () => {
    const line = ({ type, data, content }: EventType) =>
      `${type}: ${Object.keys(data).sort().join(" ")} | ${Object.keys(content).sort().join(" ")}`
        .replace(/ +/g, " ")
        .trimEnd();
    expect(all.map(line)).toEqual(PERMANENT.trim().split("\n"));
  });
  it.each(all)("$type is a noun and what happened to it", ({ type }) =>
    expect(type).toMatch(/^(run|step|workspace|api_key|endpoint|delivery|replay|ledger)\.[a-z]+(_[a-z]+)*$/),
  );
  it.each(all)("$type uses no name for structure and for content", ({ data, content }) =>
    expect(Object.keys(content).filter((name) => name in data)).toEqual([]),
  );
  it("of a run are found by their names, and only by those", () => {
    for (const kind of runEvents) expect(runEvent.get(kind.type)).toBe(kind);
    expect(runEvent.size).toBe(runEvents.length);
    expect(runEvent.get("toString")).toBeUndefined();
  });
});
