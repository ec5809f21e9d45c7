import { describe, expect, it } from "vitest";
import { type Delivery, decide, evolve, unknownDelivery } from "../../../shared/domain/delivery/delivery.ts";
import type { DeliveryEvent } from "../../../shared/domain/delivery/events.ts";

const attempted = (attempt: number, scheduleStep = attempt - 1): DeliveryEvent => ({
  type: "delivery.attempted",
  data: {
    endpoint: "endpoint_a",
    endpointRevision: 0,
    event: "evt_a",
    attempt,
    scheduleStep,
    bodySha256: "0".repeat(64),
    secretKeyIds: ["key_1"],
  },
});
const responded = (attempt: number, outcome: string, nextAttemptAt?: string): DeliveryEvent => ({
  type: "delivery.responded",
  data: { attempt, outcome, durationMs: 3, httpStatus: 500, ...(nextAttemptAt && { nextAttemptAt }) },
});
const cancelled: DeliveryEvent = { type: "delivery.cancelled", data: { reason: "content_erased" } };
const exhausted: DeliveryEvent = { type: "delivery.exhausted", data: {} };
const at = "2026-01-01T00:00:00.000Z";
const next = "2026-01-01T00:00:05.000Z";
const given = (...events: DeliveryEvent[]): Delivery =>
  events.reduce((delivery, event) => evolve(delivery, { ...event, at }), unknownDelivery);
const codeOf = (delivery: Delivery, event: DeliveryEvent) => {
  const decision = decide(delivery, event);
  return decision.accepted ? "accepted" : decision.code;
};

describe("a delivery", () => {
  it("is attempted in order, one number after the other", () => {
    expect(codeOf(given(), attempted(1))).toBe("accepted");
    expect(codeOf(given(), attempted(2))).toBe("delivery_attempt_mismatch");
    expect(codeOf(given(attempted(1)), attempted(1))).toBe("delivery_attempt_mismatch");
  });

  it("repeats an attempt whose outcome is unknown at the same step", () => {
    const delivery = given(attempted(1, 0));
    expect(delivery.unanswered).toBe(1);
    expect(codeOf(delivery, attempted(2, 0))).toBe("accepted");
    expect(given(attempted(1, 0), attempted(2, 0))).toMatchObject({ attempt: 2, scheduleStep: 0 });
  });

  it("takes a response to the attempt that waits for one only", () => {
    expect(codeOf(given(), responded(1, "delivered"))).toBe("delivery_attempt_mismatch");
    expect(codeOf(given(attempted(1), attempted(2)), responded(1, "delivered"))).toBe(
      "delivery_attempt_mismatch",
    );
    expect(codeOf(given(attempted(1)), responded(1, "delivered"))).toBe("accepted");
  });

  it("says when the next attempt is due, and when the first was made", () => {
    expect(given(attempted(1), responded(1, "http_error", next))).toMatchObject({
      status: "open",
      unanswered: null,
      nextAttemptAt: next,
      firstAttemptAt: at,
      lastOutcome: "http_error",
      lastHttpStatus: 500,
    });
  });

  it("keeps to the endpoint as of which its bytes were made, whoever asks for it later", () => {
    const asked = (endpointRevision: number): DeliveryEvent => ({
      type: "delivery.requested",
      data: {
        ...{ endpoint: "endpoint_a", endpointRevision, event: "evt_a", source: "run_a", revision: 3 },
        ...{ type: "run.completed", reason: "resend" },
      },
    });
    expect(given(asked(0), cancelled, asked(1)).requestedAsOf).toBe(1);
    const sent = [asked(1), attempted(1), responded(1, "delivered")];
    expect(given(...sent, asked(2)).requestedAsOf).toBe(1);
  });

  it.each([
    ["delivered", given(attempted(1), responded(1, "delivered"))],
    ["exhausted", given(attempted(1), responded(1, "http_error"), exhausted)],
    ["cancelled", given(cancelled)],
  ] as const)("takes nothing once %s", (status, delivery) => {
    expect(delivery.status).toBe(status);
    for (const event of [attempted(2), responded(1, "delivered"), cancelled, exhausted])
      expect(codeOf(delivery, event)).toBe("transition_not_allowed");
  });
});
