import { expect, it } from "vitest";
import { knownKeys } from "../../services/known-keys.ts";
import { manualClock } from "../support/manual-clock.ts";

type Fold = { workspace: string; events: number; state: { name: string } };

/** A log with one key, as another process changes it, and as this process has folded it. */
function logOf(name: string) {
  const log = { name, answers: true, hangs: false, reads: 0 };
  let folded: Fold | undefined;
  const ledger = {
    store: { isShared: true },
    peek: () => folded,
    async find() {
      log.reads++;
      if (log.hangs) await new Promise(() => {});
      if (!log.answers) throw Object.assign(new Error("away"), { code: "overloaded" });
      folded = { workspace: "default", events: 1, state: { name: log.name } };
      return folded;
    },
  };
  const clock = manualClock(0);
  // What is made up has all that is asked of it.
  const find = knownKeys(ledger as unknown as Parameters<typeof knownKeys>[0], clock);
  return { log, clock, key: () => find("default", "k") };
}

it("a key is read anew after a second, so that a change elsewhere is heard of", async () => {
  const { log, clock, key } = logOf("before");
  expect(await key()).toEqual({ name: "before" });
  log.name = "revoked";
  await clock.advance(999);
  expect([await key(), log.reads]).toEqual([{ name: "before" }, 1]);
  await clock.advance(1);
  expect([await Promise.all([key(), key()]), log.reads]).toEqual([
    [{ name: "revoked" }, { name: "revoked" }],
    2,
  ]);
});

it("a key that was read in the last half minute is good while the log does not answer", async () => {
  const { log, clock, key } = logOf("known");
  await key();
  log.answers = false;
  await clock.advance(29_000);
  expect(await key()).toEqual({ name: "known" });
  await clock.advance(1000);
  await expect(Promise.resolve(key())).rejects.toMatchObject({ code: "overloaded" });
});

it("a log that hangs is waited for no longer than a second", async () => {
  const { log, clock, key } = logOf("known");
  await key();
  log.hangs = true;
  await clock.advance(2000);
  const asked = Promise.resolve(key());
  await clock.advance(1000);
  expect(await asked).toEqual({ name: "known" });
});

it("a key that nobody has read is not known without the log", async () => {
  const { log, key } = logOf("unknown");
  log.answers = false;
  await expect(Promise.resolve(key())).rejects.toMatchObject({ code: "overloaded" });
});
