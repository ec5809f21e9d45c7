import { describe, expect, it } from "vitest";
import { openPace } from "../../services/dispatcher/pace.ts";
import { unknownEndpoint } from "../../shared/domain/endpoint/endpoint.ts";
import type { EndpointVersion } from "../../shared/domain/endpoint/history.ts";
import { manualClock } from "../support/manual-clock.ts";

const ENDPOINT = "endpoint-1";
const taken = { outcome: "delivered", httpStatus: 204 };
const slower = { outcome: "http_error", httpStatus: 503 };

/** The pace of one endpoint. */
function paceOf(changed: Partial<EndpointVersion> = {}) {
  const clock = manualClock();
  const at = { workspace: "default", position: 1n, revision: 0, createdAt: "", updatedAt: "" };
  const version = { ...unknownEndpoint, status: "enabled", stream: ENDPOINT, ...at, ...changed } as const;
  const pace = openPace({ now: clock.now, current: () => version, inFlightPerEndpointMax: 8 });
  /** How many can be begun within a time, one after the other. */
  const begunWithin = async (ms: number) => {
    const untilMs = clock.now() + ms;
    let begun = 0;
    for (; ; begun++) {
      const { pauseMs } = pace.terms(ENDPOINT);
      if (clock.now() + pauseMs >= untilMs || begun >= 100_000) break;
      await clock.advance(pauseMs);
      pace.began(ENDPOINT);
    }
    await clock.advance(untilMs - clock.now());
    return begun;
  };
  const refusedFor = async (seconds: number) => {
    for (let second = 0; second < seconds; second++) {
      pace.ended(ENDPOINT, slower);
      await clock.advance(1000);
    }
  };
  return { ...pace, clock, begunWithin, refusedFor };
}

describe("the pace of an endpoint", () => {
  it("is free, in its own places, where nothing says otherwise", async () => {
    const { terms, begunWithin } = paceOf();
    expect(terms(ENDPOINT)).toEqual({ inFlightMax: 8, weight: 1, pauseMs: 0 });
    expect(await begunWithin(1)).toBe(100_000);
  });

  it("is no more in a second than it was set to", async () => {
    for (const perSecondMax of [0.5, 7, 1000, 2500]) {
      const { begunWithin } = paceOf({ policy: { perSecondMax } });
      const begun = await begunWithin(10_000);
      expect(begun).toBeGreaterThanOrEqual(perSecondMax * 8);
      expect(begun).toBeLessThanOrEqual(perSecondMax * 10 + 20);
    }
  });

  it("tells the rate that was asked for, until the endpoint takes everything again", () => {
    const { began, ended, throttled } = paceOf({ policy: { perSecondMax: 5 } });
    expect(throttled(ENDPOINT)).toBeUndefined();
    began(ENDPOINT);
    ended(ENDPOINT, slower);
    expect(throttled(ENDPOINT)).toBe(10);
    for (let count = 0; count < 50; count++) ended(ENDPOINT, taken);
    expect(throttled(ENDPOINT)).toBeUndefined();
  });

  it("does not stand still for one answer that asks for less", async () => {
    const { began, ended, begunWithin } = paceOf();
    began(ENDPOINT);
    ended(ENDPOINT, slower);
    expect(await begunWithin(1000)).toBeGreaterThanOrEqual(9);
  });

  it("is halved again and again, down to one in a minute", async () => {
    const { refusedFor, begunWithin } = paceOf();
    await refusedFor(30);
    expect(await begunWithin(600_000)).toBeGreaterThanOrEqual(10);
    expect(await begunWithin(600_000)).toBeLessThanOrEqual(11);
  });

  it("is halved once by all that was under way", async () => {
    const { began, ended, begunWithin } = paceOf();
    for (let each = 0; each < 8; each++) began(ENDPOINT);
    for (let each = 0; each < 8; each++) ended(ENDPOINT, slower);
    expect(await begunWithin(1000)).toBeGreaterThanOrEqual(9);
  });

  it("is free again after enough was taken, and is not slowed down by other failures", async () => {
    const { ended, terms, began, refusedFor } = paceOf();
    await refusedFor(30);
    for (let each = 0; each < 60; each++) ended(ENDPOINT, taken);
    ended(ENDPOINT, { outcome: "http_error", httpStatus: 500 });
    ended(ENDPOINT, { outcome: "timeout_headers" });
    began(ENDPOINT);
    expect(terms(ENDPOINT).pauseMs).toBe(0);
  });

  it("has half of its places while it is degraded, one while it is paused, and its weight", () => {
    expect(paceOf({ degraded: true }).terms(ENDPOINT).inFlightMax).toBe(4);
    expect(paceOf({ status: "paused", degraded: true }).terms(ENDPOINT).inFlightMax).toBe(1);
    expect(paceOf({ policy: { weight: 5 } }).terms(ENDPOINT).weight).toBe(5);
  });
});
