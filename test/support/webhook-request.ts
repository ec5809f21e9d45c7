import type { WebhookRequest } from "../../shared/webhooks/receiver.ts";
import { sign } from "../../shared/webhooks/signature.ts";

export const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
export const otherSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
export const nowSeconds = Date.UTC(2026, 0, 1) / 1000;

type Told = {
  id?: string;
  type?: string;
  run?: string;
  event?: string;
  previous?: string | null;
  revision?: number;
  data?: object;
};

/** A body as the dispatcher makes it. */
export function bodyOf(told: Told = {}): string {
  const { id = "delivery_1", type = "run.completed", run = "run_1", event = "evt_1", revision = 3 } = told;
  const { previous = null, data = { run: { id: run, status: "completed", revision } } } = told;
  const ledger = { event, revision, previous, hash: "00".repeat(32) };
  return JSON.stringify({ id, type, timestamp: "2026-01-01T00:00:00.000Z", data, ledger });
}

type Signed = { id?: string; body?: string | Uint8Array; secrets?: string[]; atSeconds?: number };

/** The three headers of a webhook. */
export function headersOf({ id = "delivery_1", body = bodyOf(), ...signed }: Signed = {}) {
  const { secrets = [secret], atSeconds = nowSeconds } = signed;
  return {
    "webhook-id": id,
    "webhook-timestamp": `${atSeconds}`,
    "webhook-signature": sign(secrets, id, atSeconds, body),
  };
}

/** A webhook as it arrives, about this event of a run. */
export function webhook(told: Told = {}, signed: Signed = {}): WebhookRequest {
  const { event = "1" } = told;
  const { id = `delivery_${event}` } = told;
  const body = bodyOf({ ...told, id });
  return { headers: headersOf({ id, body, ...signed }), body };
}
