import { z } from "zod";
import { deliveryId } from "../../projections/deliveries/deliveries.ts";
import { owingTypes } from "../../shared/domain/endpoint/events.ts";
import type { JsonObject, Proposed } from "../../shared/domain/event.ts";
import type { Caller } from "../../shared/ledger/command.ts";
import { streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import { deletionOr } from "./endpoint-changes.ts";
import { type EndpointCommandDeps, readEndpoint } from "./endpoint-commands.ts";
import { EndpointParams } from "./endpoint-json.ts";
import { deliveryExample, endpointExample } from "./examples.ts";
import { eventAnswer, writeHeaders, writing } from "./recording.ts";
import { answer, type Call, commandOf, type Route, route } from "./route.ts";

const AskedJson = z.strictObject({
  endpointId: z.string(),
  deliveryId: z.string().describe("What is sent for it."),
  event: z.strictObject({ id: z.string(), type: z.string(), revision: z.int(), position: z.string() }),
  position: z.string(),
});
const ExampleBody = z.strictObject({
  type: z.enum(owingTypes as [string, ...string[]]).describe("Whatever the endpoint hears of by itself."),
});
const problems = [...writing, "endpoint_deleted", "idempotency_conflict"] as const;
const asked = (type: string, revision: number) => ({
  endpointId: endpointExample.id,
  deliveryId: deliveryExample.id,
  event: { id: "evt_01m7xy96cjexs970rd7f9qt4vq", type, revision, position: "19" },
  position: "19",
});

/** What somebody asks to be sent to one endpoint, to try it. */
export function endpointExampleRoutes(deps: EndpointCommandDeps): Route[] {
  const { ledger } = deps;
  type Asking = Pick<Call, "principal" | "requestId" | "headers">;

  /** Recorded on the endpoint's own stream; that owes it one delivery. */
  async function ask(
    call: Asking,
    endpointId: string,
    operation: string,
    proposed: Proposed,
    shape: JsonObject,
  ) {
    const stream = streamOf(endpointId);
    const caller: Caller & { workspace: string } = commandOf(call);
    await readEndpoint(ledger, stream, caller.workspace);
    const command = { ...caller, operation, items: [{ proposed, shape }] };
    const recorded = await ledger.record(stream, command).catch((error: unknown) => {
      throw deletionOr(error, stream);
    });
    const [event] = recorded.events;
    if (!event) throw new Error(`${operation} recorded nothing`);
    const delivery = deliveryId(ledger.id, caller.workspace, stream, event.id);
    const body = {
      endpointId: wireIdOf(stream),
      deliveryId: delivery,
      event: eventAnswer(event),
      position: `${event.position}`,
    };
    return answer(201, body, writeHeaders(event.position, recorded.replayed));
  }

  return [
    route({
      method: "post",
      path: "/v1/webhook-endpoints/{endpointId}/send-example",
      operationId: "sendWebhookExample",
      summary: "Send an example of a type: signed as any delivery, and marked by `data.example`",
      description: "It is sent even to an endpoint that is disabled, or that does not hear of this type.",
      permission: "webhooks:write",
      request: { params: EndpointParams, body: ExampleBody, headers: ["Idempotency-Key"] },
      responses: { 201: AskedJson },
      problems,
      example: { body: { type: "run.completed" }, answer: asked("endpoint.example_requested", 1) },
      handle({ params, body, ...call }) {
        const proposed = { type: "endpoint.example_requested", data: { type: body.type } };
        return ask(call, params.endpointId, "send_example", proposed, { type: body.type });
      },
    }),
    route({
      method: "post",
      path: "/v1/webhook-endpoints/{endpointId}/challenge",
      operationId: "challengeWebhookEndpoint",
      summary: "Ask an endpoint to show that it reads what it is sent; one that is disabled is enabled by it",
      description:
        "It is sent a signed `endpoint.challenge`, and has to answer `2xx` with its `data.challenge`, as " +
        'JSON: `{"challenge": "…"}`. What was changed of the endpoint meanwhile needs another one.',
      permission: "webhooks:write",
      request: { params: EndpointParams, headers: ["Idempotency-Key"] },
      responses: { 201: AskedJson },
      problems,
      example: { answer: asked("endpoint.challenge_requested", 2) },
      handle({ params, ...call }) {
        const proposed = { type: "endpoint.challenge_requested", data: {} };
        return ask(call, params.endpointId, "challenge_endpoint", proposed, {});
      },
    }),
  ];
}
