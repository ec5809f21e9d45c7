import { z } from "zod";
import { streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import { publicKeyOf, signingOf } from "../../shared/webhooks/signature.ts";
import { SecretBody, SigningBody } from "./endpoint-body.ts";
import type { EndpointCommandDeps } from "./endpoint-commands.ts";
import { EndpointParams, SigningKeyJson } from "./endpoint-json.ts";
import {
  endSecretOverlap,
  OVERLAP_MAX_MS,
  type Rotation,
  revealSecrets,
  rotateSecret,
} from "./endpoint-secrets.ts";
import { endpointExample, rotatedExample, signingKeyExample } from "./examples.ts";
import { writeHeaders, writing } from "./recording.ts";
import { answer, commandOf, type Route, route } from "./route.ts";

const RotatedJson = z.strictObject({
  endpointId: z.string(),
  keyId: z.string(),
  signing: z.enum(["v1", "v1a"]).nullable(),
  secret: z.string().nullable(),
  publicKey: z.string().nullable(),
  overlapUntil: z.string().nullable(),
  position: z.string(),
});

/** What an endpoint's deliveries are signed with. */
export function endpointSecretRoutes(deps: EndpointCommandDeps): Route[] {
  return [
    route({
      method: "post",
      path: "/v1/webhook-endpoints/{endpointId}/rotate-secret",
      operationId: "rotateWebhookSecret",
      summary: "Sign with another secret; those before sign too until the overlap ends",
      description:
        "The secret is answered once. One overlap holds for all earlier secrets: a rotation sets its end " +
        "anew, and `overlapMs: 0` ends it at once. At most five sign.",
      permission: "webhooks:write",
      request: {
        params: EndpointParams,
        body: z.strictObject({
          secret: SecretBody.optional(),
          signing: SigningBody.optional(),
          overlapMs: z.int().min(0).max(OVERLAP_MAX_MS).optional().describe("A day, unless said."),
        }),
        headers: ["Idempotency-Key"],
      },
      responses: { 201: RotatedJson },
      problems: [...writing, "secret_limit", "endpoint_deleted", "idempotency_conflict"],
      example: { body: { overlapMs: 3_600_000 }, answer: rotatedExample },
      async handle(call) {
        const stream = streamOf(call.params.endpointId);
        const made = await rotateSecret(deps, commandOf(call), stream, call.body as Rotation);
        const { recorded, rotated, secret } = made;
        const [keyId = ""] = rotated.data.secretKeyIds as string[]; // As it was recorded.
        const kept = secret ?? (await deps.secrets.find(keyId))?.toString();
        const { overlapUntil } = rotated.data;
        const body = {
          endpointId: wireIdOf(stream),
          keyId,
          signing: kept === undefined ? null : signingOf(kept),
          secret,
          publicKey: kept === undefined ? null : publicKeyOf(kept),
          overlapUntil: typeof overlapUntil === "string" ? overlapUntil : null,
          position: `${rotated.position}`,
        };
        return answer(201, body, writeHeaders(rotated.position, recorded.replayed));
      },
    }),
    route({
      method: "post",
      path: "/v1/webhook-endpoints/{endpointId}/end-secret-overlap",
      operationId: "endWebhookSecretOverlap",
      summary: "Sign with the current secret alone, from now on",
      permission: "webhooks:write",
      request: { params: EndpointParams, headers: ["Idempotency-Key"] },
      responses: { 200: z.strictObject({ endpointId: z.string(), keyId: z.string(), position: z.string() }) },
      problems: [...writing, "endpoint_deleted", "idempotency_conflict"],
      example: { answer: { endpointId: endpointExample.id, keyId: signingKeyExample.id, position: "18" } },
      async handle(call) {
        const { endpointId } = call.params;
        const ended = await endSecretOverlap(deps, commandOf(call), streamOf(endpointId));
        const { keyId, position, replayed } = ended;
        const body = { endpointId, keyId, position: `${position}` };
        return answer(200, body, writeHeaders(position, replayed));
      },
    }),
    route({
      method: "get",
      path: "/v1/webhook-endpoints/{endpointId}/secret",
      operationId: "revealWebhookSecret",
      summary: "The secrets that sign now, the current one first; of private keys the public ones alone",
      permission: "webhooks:reveal_secret",
      request: { params: EndpointParams },
      responses: {
        200: z.strictObject({
          secrets: z.array(z.strictObject({ ...SigningKeyJson.shape, secret: z.string().nullable() })),
        }),
      },
      problems: [],
      example: {
        answer: { secrets: [{ ...signingKeyExample, secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }] },
      },
      async handle(call) {
        const stream = streamOf(call.params.endpointId);
        const keys = await revealSecrets(deps, call.principal.workspace, stream);
        const secrets = keys.map((key) => ({
          ...key,
          secret: key.signing === "v1" ? key.secret : null,
          publicKey: publicKeyOf(key.secret),
        }));
        return answer(200, { secrets }, { "Cache-Control": "no-store" });
      },
    }),
  ];
}
