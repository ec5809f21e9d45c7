import { expect, it } from "vitest";
import { itNeeds, program } from "./skip.ts";

it("knows whether a program is there", () => {
  expect(program("node").isThere).toBe(true);
  expect(program("no-such-program-anywhere").isThere).toBe(false);
});

let ran = false;
itNeeds(program("node"))("runs a test that has what it needs", () => {
  ran = true;
});
it("ran it", () => expect(ran).toBe(true));
