import type { LookupAddress } from "node:dns";
import type { LookupFunction } from "node:net";
import { describe, expect, it } from "vitest";
import { BlockedTarget, type Resolve, vettedLookup } from "../../services/dispatcher/lookup.ts";
import { isPublic } from "../../shared/webhooks/targets.ts";

const v4 = (address: string): LookupAddress => ({ address, family: 4 });
const v6 = (address: string): LookupAddress => ({ address, family: 6 });
const resolvesTo =
  (...found: LookupAddress[]): Resolve =>
  async () =>
    found;

const asked = (lookup: LookupFunction, all: boolean, hostname = "example.com") =>
  new Promise<unknown>((resolve, reject) =>
    lookup(hostname, { all }, (error, address, family) =>
      error ? reject(error) : resolve(all ? address : { address, family }),
    ),
  );

describe("a vetted lookup", () => {
  it("passes on every address where all may be called", async () => {
    const lookup = vettedLookup(isPublic, resolvesTo(v4("8.8.8.8"), v6("2a00:1450::1")));
    expect(await asked(lookup, true)).toEqual([v4("8.8.8.8"), v6("2a00:1450::1")]);
  });

  it("passes on the first one where only one is asked for", async () => {
    const lookup = vettedLookup(isPublic, resolvesTo(v6("2a00:1450::1"), v4("8.8.8.8")));
    expect(await asked(lookup, false)).toEqual(v6("2a00:1450::1"));
  });

  it.each([true, false])(
    "refuses when any address is forbidden, wherever it stands (all: %s)",
    async (all) => {
      for (const found of [
        [v4("127.0.0.1")],
        [v4("8.8.8.8"), v4("10.0.0.1")],
        [v4("10.0.0.1"), v4("8.8.8.8")],
        [v4("8.8.8.8"), v6("::1")],
        [v6("::ffff:169.254.169.254")],
        [],
      ])
        await expect(asked(vettedLookup(isPublic, resolvesTo(...found)), all)).rejects.toThrow(BlockedTarget);
    },
  );

  it("passes on why a name could not be resolved", async () => {
    const gone = Object.assign(new Error("no such name"), { code: "ENOTFOUND" });
    const lookup = vettedLookup(isPublic, async () => {
      throw gone;
    });
    await expect(asked(lookup, true)).rejects.toBe(gone);
  });

  it("asks once for all who wait for the same name, and again for those who come later", async () => {
    const names: string[] = [];
    const answers: ((found: LookupAddress[]) => void)[] = [];
    const lookup = vettedLookup(isPublic, (hostname) => {
      names.push(hostname);
      return new Promise((resolve) => answers.push(resolve));
    });
    const waiting = [asked(lookup, true, "a.example"), asked(lookup, false, "a.example")];
    const other = asked(lookup, true, "b.example");
    expect(names).toEqual(["a.example", "b.example"]);
    for (const answer of answers) answer([v4("8.8.8.8")]);
    expect(await Promise.all([...waiting, other])).toEqual([[v4("8.8.8.8")], v4("8.8.8.8"), [v4("8.8.8.8")]]);

    const later = asked(lookup, true, "a.example");
    expect(names).toEqual(["a.example", "b.example", "a.example"]);
    // The name means something else by now, and that is judged anew.
    answers.at(-1)?.([v4("127.0.0.1")]);
    await expect(later).rejects.toThrow(BlockedTarget);
  });

  it("asks the system when nothing else is said", async () => {
    const found = await asked(
      vettedLookup((address) => address === "127.0.0.1"),
      false,
      "127.0.0.1",
    );
    expect(found).toEqual(v4("127.0.0.1"));
  });
});
