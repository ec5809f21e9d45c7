import type { DeliveryState, StateOf } from "./receiver-order.ts";

type Options = {
  /** The ledger's API, such as `https://ledger.example`. */
  url: string;
  /** An API key that may read webhooks. */
  key: string;
  /** The endpoint whose deliveries come here. */
  endpointId: string;
  timeoutMs?: number;
};

type Delivery = { id: string; event: { id: string }; status: DeliveryState };
type Page = { items: Delivery[]; pageInfo: { after: string | null } };

const TIMEOUT_MS = 3000;
/** A run has a few hundred events that anybody is told of; one with more is looked through no further. */
const PAGES_MAX = 10;

/** Asks the ledger's API what became of an event's delivery. Throws where it cannot be asked. */
export function stateFromLedger({ url, key, endpointId, timeoutMs = TIMEOUT_MS }: Options): StateOf {
  /** The door from HTTP: what is in it is what the API says of itself. */
  async function get(path: string, signal: AbortSignal): Promise<unknown> {
    const answer = await fetch(new URL(path, url), { headers: { authorization: `Bearer ${key}` }, signal });
    if (!answer.ok) throw new Error(`the ledger answered ${answer.status}`);
    return await answer.json();
  }

  async function find(run: string, event: string, signal: AbortSignal): Promise<Delivery | undefined> {
    const query = new URLSearchParams({ runId: run, endpointId, pageSize: "100" });
    for (let pages = 0; pages < PAGES_MAX; pages++) {
      const { items, pageInfo } = (await get(`/v1/deliveries?${query}`, signal)) as Page;
      const found = items.find((item) => item.event.id === event);
      if (found || pageInfo.after === null) return found;
      query.set("after", pageInfo.after);
    }
    return undefined;
  }

  return async ({ run, event }) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const found = await find(run, event, signal);
    if (found?.status !== "cancelled") return found?.status ?? "unknown";
    const { reason } = (await get(`/v1/deliveries/${found.id}`, signal)) as { reason?: DeliveryState | null };
    return reason ?? "cancelled";
  };
}
