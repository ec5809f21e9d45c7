import type { EndpointHistory, EndpointVersion } from "../../shared/domain/endpoint/history.ts";
import type { Actor, RecordedEvent } from "../../shared/domain/event.ts";
import { Refusal } from "../../shared/ledger/command.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { derivedId } from "../../shared/verification/ids.ts";
import { challengeOf } from "./endpoint-body.ts";
import type { Outcome } from "./outcome.ts";

type Deps = { ledger: Ledger; endpoints: EndpointHistory };

const actor: Actor = { type: "system", id: "dispatcher" };

/** Enables an endpoint that answered its challenge. It comes before the attempt's outcome is recorded: who
 *  ends in between sends the challenge again, and the endpoint answers it again. */
export async function challenged(
  { ledger, endpoints }: Deps,
  event: RecordedEvent,
  endpoint: EndpointVersion,
  outcome: Outcome,
): Promise<void> {
  if (event.type !== "endpoint.challenge_requested" || outcome.outcome !== "delivered") return;
  if (answerIn(outcome.excerpt) !== challengeOf(event) || !waitsSince(endpoints, endpoint, event)) return;
  const { stream, workspace, revision } = endpoint;
  const scope = `dispatcher ${stream}`;
  const made = { ledger: ledger.id, workspace, prefix: "evt" as const, scope, commandId: event.id, index: 0 };
  const proposed = { type: "endpoint.enabled", data: { reason: "verified" } };
  const command = {
    workspace,
    actor,
    requestId: null,
    correlationId: null,
    operation: "verify_endpoint",
    items: [{ proposed, made: { id: derivedId(made), causationId: event.id } }],
    ifRevision: revision,
  };
  try {
    await ledger.record(stream, command);
  } catch (error) {
    // It was changed meanwhile, or somebody else recorded the same.
    if (!(error instanceof Refusal)) throw error;
  }
}

/** Whether it has been disabled ever since it was challenged: what disabled it later, no answer undoes. */
function waitsSince(endpoints: EndpointHistory, endpoint: EndpointVersion, event: RecordedEvent): boolean {
  for (let revision = event.revision; revision <= endpoint.revision; revision++)
    if (endpoints.atRevision(endpoint.stream, revision)?.status !== "disabled") return false;
  return true;
}

/** The member `challenge` of what was answered; undefined where there is none. */
function answerIn(excerpt: string | undefined): unknown {
  try {
    const answered: unknown = JSON.parse(excerpt ?? "");
    return typeof answered === "object" && answered !== null && "challenge" in answered
      ? answered.challenge
      : undefined;
  } catch {
    return undefined;
  }
}
