import { z } from "zod";
import type { EndpointHistory } from "../../shared/domain/endpoint/history.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { isWireId, streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import { publicKeyOf } from "../../shared/webhooks/signature.ts";
import { activeAmong, activeKeyIds, type KeyDeps } from "./endpoint-keys.ts";
import { endpointExample, publicKeyExample } from "./examples.ts";
import { type Route, route, taggedAnswer } from "./route.ts";

export type WebhookKeyDeps = KeyDeps & { ledger: Ledger; endpoints: EndpointHistory };

/** A public key as RFC 8037 writes it, and as Standard Webhooks does. */
const PublicKeyJson = z
  .strictObject({
    kty: z.literal("OKP"),
    crv: z.literal("Ed25519"),
    alg: z.literal("EdDSA"),
    use: z.literal("sig"),
    kid: z.string(),
    x: z.string(),
    publicKey: z.string().describe("The same as `whpk_…`."),
    endpointId: z.string(),
    validFrom: z.string(),
    validUntil: z.string().nullable().describe("`null` while nobody has said when it ends."),
  })
  .meta({ id: "WebhookPublicKey" });
type PublicKey = z.infer<typeof PublicKeyJson>;

/** How long the keys of all endpoints together are not looked up again: anybody may ask. */
const KEPT_MS = 1000;
const CACHED_SECONDS = 300;

/** The public keys that deliveries are signed under, for who verifies them and follows their rotation. There
 *  is nothing else to be known from them: who may call what they belong to is not said. */
export function webhookKeyRoutes(deps: WebhookKeyDeps): Route[] {
  const { clock, endpoints, secrets } = deps;
  const sinceOf = openSince(deps);
  let all: { keys: Promise<PublicKey[]>; sinceMs: number } | undefined;

  async function keysOf(streams: readonly string[]): Promise<PublicKey[]> {
    const published: PublicKey[] = [];
    const nowMs = clock.now();
    const known = streams.flatMap((stream) => endpoints.current(stream) ?? []);
    const found = await secrets.findAll(known.flatMap((endpoint) => activeKeyIds(endpoint, nowMs)));
    for (const endpoint of known) {
      const { stream } = endpoint;
      for (const { id, signing, secret, until } of activeAmong(found, endpoint, nowMs)) {
        if (signing !== "v1a") continue;
        const publicKey = publicKeyOf(secret) ?? "";
        const validFrom = await sinceOf(stream, endpoint.revision, id);
        published.push({
          ...jwkOf(publicKey, id),
          endpointId: wireIdOf(stream),
          validFrom,
          validUntil: until,
        });
      }
    }
    return published;
  }

  function allKeys(): Promise<PublicKey[]> {
    const nowMs = clock.now();
    if (!all || nowMs - all.sinceMs >= KEPT_MS) all = { keys: keysOf(endpoints.streams()), sinceMs: nowMs };
    return all.keys;
  }

  return [
    route({
      method: "get",
      path: "/.well-known/webhook-keys",
      operationId: "listWebhookKeys",
      summary: "The public keys that webhooks are signed under (v1a)",
      description:
        "Of every endpoint, or of the one that is named. Whoever finds no key that verifies asks again: " +
        "there may be a new one.",
      permission: "public",
      request: {
        query: z.strictObject({
          endpointId: z
            .string()
            .refine((id) => isWireId("endpoint", id), "must be the id of an endpoint")
            .optional(),
        }),
        headers: ["If-None-Match"],
      },
      responses: { 200: z.strictObject({ keys: z.array(PublicKeyJson) }), 304: null },
      problems: [],
      example: { answer: { keys: [{ ...publicKeyExample, endpointId: endpointExample.id }] } },
      async handle(call) {
        const { endpointId } = call.query;
        const keys = await (endpointId === undefined ? allKeys() : keysOf([streamOf(endpointId)]));
        const tagged = taggedAnswer(call, keys.length, { keys });
        const caching = { "Cache-Control": `public, max-age=${CACHED_SECONDS}` };
        return { ...tagged, headers: { ...tagged.headers, ...caching } };
      },
    }),
  ];
}

const jwkOf = (publicKey: string, kid: string) => ({
  kty: "OKP" as const,
  crv: "Ed25519" as const,
  alg: "EdDSA" as const,
  use: "sig" as const,
  kid,
  x: Buffer.from(publicKey.slice(publicKey.indexOf("_") + 1), "base64").toString("base64url"),
  publicKey,
});

/** When keys came to sign: an endpoint's stream says it, and is read again only when it has grown. */
function openSince({ ledger }: Pick<WebhookKeyDeps, "ledger">) {
  const known = new Map<string, { revision: number; since: Map<string, string> }>();
  return async (stream: string, revision: number, keyId: string): Promise<string> => {
    let kept = known.get(stream);
    if (!kept || kept.revision < revision) {
      const since = new Map<string, string>();
      for (const { data, meta } of await ledger.history(stream))
        for (const id of Array.isArray(data.secretKeyIds) ? data.secretKeyIds : [])
          if (!since.has(id)) since.set(id, meta.recordedAt);
      kept = { revision, since };
      known.set(stream, kept);
    }
    return kept.since.get(keyId) ?? "";
  };
}
