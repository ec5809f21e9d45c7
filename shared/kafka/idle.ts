import { createRequire } from "node:module";

/** What the client's queue of requests has that matters here. */
type RequestQueue = {
  pending: readonly unknown[];
  throttledUntil: number;
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  checkPendingRequests(): void;
  scheduleCheckPendingRequests(): void;
};

const AGAIN_MS = 10;
const MODULE = "kafkajs/src/network/requestQueue";

/** Lets an idle connection rest. The client sets a timer of no length after every answer, and another one
 *  whenever that ends, whether or not something waits: about a thousand wake-ups a second for each
 *  connection,  and a warning of Node's about the negative length. Here a timer runs only while a request
 *  waits. */
export function letIdleConnectionsRest(): void {
  const queue = createRequire(import.meta.url)(MODULE) as { prototype: RequestQueue }; // It has no types.
  queue.prototype.scheduleCheckPendingRequests = scheduleCheckPendingRequests;
}

function scheduleCheckPendingRequests(this: RequestQueue): void {
  if (this.pending.length === 0 || this.throttleCheckTimeoutId) return;
  const throttledMs = this.throttledUntil - Date.now();
  this.throttleCheckTimeoutId = setTimeout(
    () => {
      this.throttleCheckTimeoutId = null;
      this.checkPendingRequests();
    },
    throttledMs > 0 ? throttledMs : AGAIN_MS,
  );
}
