import { spawnSync } from "node:child_process";
import { it } from "vitest";

/** Something that a test needs and that not every machine has. */
export type Need = { name: string; isThere: boolean };

/** A program that is found on the PATH. */
export const program = (name: string): Need => ({
  name,
  isThere: spawnSync(name, ["--version"], { stdio: "ignore" }).error === undefined,
});

/** `it`, for a test that cannot run everywhere: without what it needs it is skipped and its name says why.
 *  Where `RUNLEDGER_REQUIRE_SERVERS` is set nothing may be skipped, and it fails instead. */
export function itNeeds(
  need: Need,
): (name: string, test: () => Promise<void> | void, timeoutMs?: number) => void {
  if (need.isThere) return (name, test, timeoutMs) => it(name, test, timeoutMs);
  const reason = `there is no ${need.name} here`;
  if (process.env.RUNLEDGER_REQUIRE_SERVERS === undefined)
    return (name, test) => it.skip(`${name} (skipped: ${reason})`, test);
  return (name) =>
    it(name, () => {
      throw new Error(reason);
    });
}
