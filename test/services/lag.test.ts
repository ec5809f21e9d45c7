import { expect, it } from "vitest";
import { openLag } from "../../services/lag.ts";

it("the lag of views counts the events that were heard of and are not in them", () => {
  let at = 0n;
  const lag = openLag({ position: () => at });
  expect(lag.behind()).toBe(0);
  for (const position of [700n, 1900n, 5400n, 5410n]) lag.take({ position });
  expect(lag.behind()).toBe(4);
  at = 1900n;
  expect(lag.behind()).toBe(2);
  at = 6000n;
  expect(lag.behind()).toBe(0);
});

it("the lag of views is said up to 100,000, and goes on from there", () => {
  let at = 0n;
  const lag = openLag({ position: () => at });
  for (let position = 1n; position <= 100_500n; position++) lag.take({ position });
  expect(lag.behind()).toBe(100_000);
  at = 99_000n;
  lag.take({ position: 100_501n });
  expect(lag.behind()).toBe(1001);
});
