import { describe, expect, it } from "vitest";
import type { OutcomeWord } from "../../services/dispatcher/outcome.ts";
import { parseConfig } from "../../shared/platform/config.ts";
import { excerptClass, failedOutcomes, keepsExcerpt } from "../../shared/platform/excerpt-days.ts";

const FOR_EVER = Number.POSITIVE_INFINITY;
const eventStore = {
  RUNLEDGER_EVENT_STORE: "eventstoredb",
  RUNLEDGER_EVENT_STORE_URL: "esdb://127.0.0.1:2113?tls=false",
};
const unsealed = { ...eventStore, RUNLEDGER_SEAL_CONTENT: "false" };

describe("the days that excerpts are kept", () => {
  it("can be set for every outcome that there is", () => {
    const failed: Record<Exclude<OutcomeWord, "delivered">, true> = {
      http_error: true,
      timeout_connect: true,
      timeout_headers: true,
      timeout_body: true,
      dns: true,
      tls: true,
      refused: true,
      reset: true,
      blocked: true,
      too_large: true,
      unknown: true,
    };
    expect([...failedOutcomes].sort()).toEqual(Object.keys(failed).sort());
  });

  it.each([
    ["delivered", "delivered"],
    ["http_error", "failed"],
    ["too_large", "too_large"],
    ["toString", "failed"],
  ])("are for %s those of %s", (outcome, name) =>
    expect(excerptClass({ delivered: 7, failed: 30, too_large: 1 }, outcome)).toBe(name),
  );

  it("are none where nothing is recorded", () => {
    const days = { delivered: 0, failed: FOR_EVER, reset: 0, dns: 1 };
    const kept = ["delivered", "http_error", "reset", "dns"].map((outcome) => keepsExcerpt(days, outcome));
    expect(kept).toEqual([false, true, false, true]);
  });

  it("end by themselves only where what was recorded can be erased", () => {
    expect(parseConfig(eventStore).excerptDays).toEqual({ delivered: 7, failed: 30 });
    expect(parseConfig(unsealed).excerptDays).toEqual({ delivered: FOR_EVER, failed: FOR_EVER });
    // In a file nothing is sealed, and everything can be overwritten.
    expect(parseConfig({ RUNLEDGER_SEAL_CONTENT: "false" }).excerptDays).toEqual({
      delivered: 7,
      failed: 30,
    });
  });

  it("are refused where they would be asked for in vain", () => {
    const start = (days: string) => () => parseConfig({ ...unsealed, RUNLEDGER_EXCERPT_DAYS: days });
    expect(start("delivered:7")).toThrow(
      /^RUNLEDGER_EXCERPT_DAYS cannot end where RUNLEDGER_SEAL_CONTENT=false/,
    );
    expect(start("delivered:forever,failed:1")).toThrow(/only 0 and forever/);
    expect(start("delivered:0,failed:forever")().excerptDays).toEqual({ delivered: 0, failed: FOR_EVER });
  });
});
