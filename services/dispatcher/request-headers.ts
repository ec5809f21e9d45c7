import { createHmac } from "node:crypto";
import type { CustomHeaders } from "../../shared/webhooks/custom-headers.ts";
import { sign, signingOf } from "../../shared/webhooks/signature.ts";

/** What the headers of one attempt follow from. */
export type HeaderFacts = {
  endpoint: { policy: { headerFamilies?: readonly string[] | undefined } };
  /** Those that sign now, the current one first. */
  secrets: readonly string[];
  /** The endpoint's own, with the bearer token among them. */
  custom: CustomHeaders;
  /** The webhook-id. */
  id: string;
  timestampSeconds: number;
  /** The very bytes that are sent. */
  body: Uint8Array;
  /** Of the event. */
  position: bigint;
  /** The replay that asked for it, or `resend`. */
  replay?: string;
};

/** The headers that an attempt carries: a function of what stands above. Whatever an endpoint's own headers
 *  say, ours are as we say. Throws InvalidSecret. */
export function requestHeaders(facts: HeaderFacts): Record<string, string> {
  const { endpoint, secrets, custom, id, timestampSeconds, body, position, replay } = facts;
  const timestamp = `${timestampSeconds}`;
  const signature = sign(secrets, id, timestampSeconds, body);
  const families = endpoint.policy.headerFamilies ?? [];
  return {
    ...custom,
    "content-type": "application/json",
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": signature,
    "ledger-position": `${position}`,
    ...(replay === undefined ? {} : { "ledger-replay": replay }),
    ...(families.includes("svix")
      ? { "svix-id": id, "svix-timestamp": timestamp, "svix-signature": signature }
      : {}),
    ...(families.includes("knock") ? knockHeaders(secrets, timestampSeconds, body) : {}),
  };
}

/** `t=<milliseconds>,s=<base64>`: HMAC-SHA256 over `<milliseconds>.<body>`, under the secret's text as it
 *  stands (https://docs.knock.app/developer-tools/outbound-webhooks/overview, "Verifying the signature"). Its
 *  receivers read one signature: the newest shared secret makes it. */
function knockHeaders(
  secrets: readonly string[],
  timestampSeconds: number,
  body: Uint8Array,
): Record<string, string> {
  const secret = secrets.find((each) => signingOf(each) === "v1");
  if (secret === undefined) return {};
  const ms = `${timestampSeconds * 1000}`;
  const signature = createHmac("sha256", secret).update(`${ms}.`).update(body).digest("base64");
  return { "x-knock-signature": `t=${ms},s=${signature}` };
}
