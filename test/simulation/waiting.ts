import type { Told } from "./told.ts";

/** How long what is recorded may take to be heard of: an append's answer, and a turn of the event loop. */
export const HEARD_MS = 50;

export const isStalledAt = ({ stalls }: Pick<Told, "stalls">, ms: number): boolean =>
  stalls.some(({ fromMs, untilMs }) => ms >= fromMs && ms <= untilMs + HEARD_MS);
