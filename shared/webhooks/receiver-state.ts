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

type Page = {
  items: { event: { id: string }; status: DeliveryState; reason?: DeliveryState | null }[];
  pageInfo: { after: string | null };
};

const TIMEOUT_MS = 3000;
/** A run has a few hundred events that anybody is told of; one with more is looked through no further. */
const PAGES_MAX = 10;

/** Asks the ledger's API what became of an event's delivery. Throws where it cannot be asked. */
export function stateFromLedger({ url, key, endpointId, timeoutMs = TIMEOUT_MS }: Options): StateOf {
  return async ({ run, event }) => {
    const signal = AbortSignal.timeout(timeoutMs);
    let after: string | null = null;
    for (let pages = 0; pages < PAGES_MAX; pages++) {
      const query = new URLSearchParams({ runId: run, endpointId, pageSize: "100", ...(after && { after }) });
      const headers = { authorization: `Bearer ${key}` };
      const answer = await fetch(new URL(`/v1/deliveries?${query}`, url), { headers, signal });
      if (!answer.ok) throw new Error(`the ledger answered ${answer.status}`);
      // The door from HTTP: what the API describes of itself.
      const page = (await answer.json()) as Page;
      const found = page.items.find((item) => item.event.id === event);
      if (found) return found.status === "cancelled" ? (found.reason ?? "cancelled") : found.status;
      after = page.pageInfo.after;
      if (after === null) break;
    }
    return "unknown";
  };
}
