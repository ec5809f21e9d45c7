import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { Claims } from "../../services/dispatcher/claims.ts";
import { openPostgresClaims } from "../../services/dispatcher/postgres-claims.ts";
import { newSharedSchema } from "../support/shared-schema.ts";

const LEASE_MS = 1000;

/** Claims of several dispatchers, and a connection beside them. */
async function openClaims(count = 2) {
  const shared = await newSharedSchema();
  const faults: Error[] = [];
  const postgres = await Promise.all(Array.from({ length: count }, () => shared.open()));
  const claims = await Promise.all(
    postgres.map((each) =>
      openPostgresClaims(each, {
        leaseMs: LEASE_MS,
        holder: "test",
        onFault: (error) => void faults.push(error),
      }),
    ),
  );
  onTestFinished(async () => void (await Promise.allSettled(claims.map((each) => each.close()))));
  const beside = await shared.open();
  const [one, two] = claims as [Claims, Claims]; // As many as were asked for, and never less than two.
  const queued = async () =>
    (await beside.values("SELECT delivery FROM dispatch_queue ORDER BY delivery")).map(([id]) => id);
  return { one, two, claims, postgres, beside, faults, queued };
}

const ids = (count: number) => Array.from({ length: count }, (_, index) => `delivery-${index}`);
const claimAll = (claims: Claims, deliveries: readonly string[]) =>
  Promise.all(deliveries.map((each) => claims.claim(each)));

describe("a claim", () => {
  it("is one dispatcher's at a time", async () => {
    const { one, two } = await openClaims();
    expect(await one.claim("delivery-1")).toBe(true);
    expect(await two.claim("delivery-1")).toBe(false);
    expect(one.holds("delivery-1")).toBe(true);
    expect(two.holds("delivery-1")).toBe(false);
    expect(await two.claim("delivery-2")).toBe(true);
  });

  it("is exactly one's when many ask for the same at once, in any order", async () => {
    const { claims, faults } = await openClaims(4);
    const deliveries = ids(200);
    const claimed = await Promise.all(
      claims.map((each, index) => claimAll(each, index % 2 ? deliveries : deliveries.toReversed())),
    );
    const holders = deliveries.map(
      (_, at) => claimed.filter((mine, index) => mine[index % 2 ? at : 199 - at]).length,
    );
    expect(holders).toEqual(deliveries.map(() => 1));
    expect(faults).toEqual([]);
  });

  it("that was given back is the next one's; one that is open stays in the queue", async () => {
    const { one, two, queued } = await openClaims();
    await claimAll(one, ["delivery-1", "delivery-2"]);
    one.release("delivery-1", true);
    one.release("delivery-2", false);
    await vi.waitFor(async () => expect(await queued()).toEqual(["delivery-1"]));
    expect(one.holds("delivery-1")).toBe(false);
    expect(await claimAll(two, ["delivery-1", "delivery-2"])).toEqual([true, true]);
    expect(await one.claim("delivery-1")).toBe(false);
  });

  it("is kept when it is given back and asked for again in one turn", async () => {
    const { one, two } = await openClaims();
    await one.claim("delivery-1");
    one.release("delivery-1", true);
    expect(await one.claim("delivery-1")).toBe(true);
    await one.claim("delivery-2"); // Whatever was to be given back has been by now.
    expect(await two.claim("delivery-1")).toBe(false);
  });

  it("is asked for again when giving it back is under way", async () => {
    const { one, two } = await openClaims();
    await one.claim("delivery-1");
    one.release("delivery-1", false);
    await turn();
    await turn();
    expect(await one.claim("delivery-1")).toBe(true);
    expect(await two.claim("delivery-1")).toBe(false);
  });

  it("is no longer held once it was not renewed for too long, and then is another's", async () => {
    const { one, two, postgres } = await openClaims();
    await one.claim("delivery-1");
    await postgres[0]?.close(); // As if its machine was cut off.
    await vi.waitFor(() => expect(one.holds("delivery-1")).toBe(false), 5000);
    await vi.waitFor(async () => expect(await two.claim("delivery-1")).toBe(true), 5000);
  });

  it("is kept for as long as its process goes on", async () => {
    const { one, two, beside } = await openClaims();
    await one.claim("delivery-1");
    const until = async () => (await beside.values("SELECT until::text FROM dispatch_queue"))[0]?.[0];
    for (let renewals = 0, before = await until(); renewals < 4; renewals++) {
      await vi.waitFor(async () => expect(await until()).not.toBe(before), 5000);
      before = await until();
      expect(await two.claim("delivery-1")).toBe(false);
    }
    expect(one.holds("delivery-1")).toBe(true);
  });

  it("is had again by who gave it back in the middle of a renewal", async () => {
    const { one, two, postgres, beside } = await openClaims();
    const [opened] = postgres;
    if (!opened) throw new Error("nothing was opened");
    await one.claim("delivery-1");
    const query = opened.query;
    const renewal = Promise.withResolvers<void>();
    const renewing = new Promise<void>((resolve) => {
      vi.spyOn(opened, "query").mockImplementation(async (...asked) => {
        if (asked[2] === "dispatch_queue_renew") {
          resolve();
          await renewal.promise;
        }
        return query(...asked);
      });
    });
    await renewing;
    one.release("delivery-1", true);
    await beside.values("SELECT 1"); // Long enough to give it back.
    renewal.resolve();
    expect(await one.claim("delivery-1")).toBe(true);
    expect(await two.claim("delivery-1")).toBe(false);
  });

  it("is nobody's while the server cannot be asked, and that is said", async () => {
    const { one, postgres, faults } = await openClaims();
    await postgres[0]?.close();
    expect(await claimAll(one, ids(3))).toEqual([false, false, false]);
    expect(faults).toHaveLength(1);
  });

  it("is given back when its dispatcher stops", async () => {
    const { one, two } = await openClaims();
    await claimAll(one, ids(5));
    await one.close();
    expect(await claimAll(two, ids(5))).toEqual(Array(5).fill(true));
  });
});

describe("dispatchers at the same queue", () => {
  it("pass a row that another is at, without waiting for it", async () => {
    const { one, two, beside } = await openClaims();
    await claimAll(one, ids(3));
    for (const delivery of ids(3)) one.release(delivery, true);
    await one.claim("delivery-other");
    await beside.transaction(async (tx) => {
      await tx.query("SELECT FROM dispatch_queue WHERE delivery = 'delivery-1' FOR UPDATE");
      expect(await claimAll(two, ids(3))).toEqual([true, false, true]);
    });
    expect(await two.claim("delivery-1")).toBe(true);
  });

  it("ask for what comes in one turn in one statement", async () => {
    const { one, postgres } = await openClaims();
    const asked = vi.spyOn(postgres[0] ?? {}, "query" as never);
    await claimAll(one, ids(100));
    expect(asked).toHaveBeenCalledTimes(1);
  });
});
