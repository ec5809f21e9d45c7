import { describe, expect, it } from "vitest";
import { stateFromLedger } from "../../shared/webhooks/receiver.ts";
import { httpReceiver } from "../support/listening.ts";

type Delivery = { id: string; event: { id: string }; status: string; reason?: string | null };
const delivery = (event: string, status: string, reason?: string | null): Delivery => ({
  id: `delivery_${event}`,
  event: { id: event },
  status,
  ...(reason === undefined ? {} : { reason }),
});

/** A ledger with these deliveries, one a page, and what it was asked. */
async function ledger(...deliveries: Delivery[]) {
  const asked: string[] = [];
  const { url } = await httpReceiver((req, res) => {
    const { pathname, searchParams } = new URL(req.url ?? "", "http://ledger");
    asked.push(`${pathname} ${searchParams} ${req.headers.authorization}`);
    const after = Number(searchParams.get("after") ?? 0);
    const one = deliveries.find(({ id }) => pathname.endsWith(id));
    const next = after + 1 < deliveries.length ? `${after + 1}` : null;
    res.end(JSON.stringify(one ?? { items: deliveries.slice(after, after + 1), pageInfo: { after: next } }));
  });
  const stateOf = stateFromLedger({ url, key: "rl_key", endpointId: "endpoint_1" });
  return { asked, stateOf: (event: string) => stateOf({ run: "run_1", event }) };
}

describe("the state of a delivery, asked of the ledger", () => {
  it.each(["pending", "retrying", "delivered", "exhausted", "skipped"])("may be %s", async (status) => {
    const { stateOf, asked } = await ledger(delivery("a", status));
    expect(await stateOf("a")).toBe(status);
    expect(asked).toEqual(["/v1/deliveries runId=run_1&endpointId=endpoint_1&pageSize=100 Bearer rl_key"]);
  });

  it.each([
    ["superseded", "superseded"],
    ["wait_resolved", "wait_resolved"],
    ["content_erased", "content_erased"],
    [null, "cancelled"],
    [undefined, "cancelled"],
  ])("is why it was cancelled: %s", async (reason, state) => {
    const { stateOf } = await ledger(delivery("a", "cancelled", reason));
    expect(await stateOf("a")).toBe(state);
  });

  it("is found on a later page", async () => {
    const { stateOf, asked } = await ledger(delivery("a", "delivered"), delivery("b", "skipped"));
    expect(await stateOf("b")).toBe("skipped");
    expect(asked[1]).toContain("after=1");
  });

  it("is unknown of what is on none, however many there are", async () => {
    const { stateOf } = await ledger();
    expect(await stateOf("a")).toBe("unknown");
    const many = Array.from({ length: 30 }, (_, index) => delivery(`${index}`, "delivered"));
    const { stateOf: ofMany, asked } = await ledger(...many);
    expect(await ofMany("29")).toBe("unknown");
    expect(asked).toHaveLength(10);
  });

  it.each([401, 503])("cannot be had from a ledger that answers %i", async (status) => {
    const { url } = await httpReceiver((_req, res) => void res.writeHead(status).end());
    const stateOf = stateFromLedger({ url, key: "k", endpointId: "e" });
    await expect(stateOf({ run: "r", event: "e" })).rejects.toThrow(`${status}`);
  });

  it("is not waited for longer than it may take", async () => {
    const { url } = await httpReceiver(() => {});
    const stateOf = stateFromLedger({ url, key: "k", endpointId: "e", timeoutMs: 20 });
    await expect(stateOf({ run: "r", event: "e" })).rejects.toThrow(/timeout/);
  });
});
