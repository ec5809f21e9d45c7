import type { Policy } from "./events.ts";

/** How an endpoint is served where it does not say. What is not here has no limit, or follows its
 *  schedule. */
export const defaultPolicy = {
  timeoutMs: 20_000,
  payload: "full",
  order: "unordered",
  weight: 1,
} as const satisfies Policy;
