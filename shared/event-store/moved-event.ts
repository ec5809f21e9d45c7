import type { NewEvent } from "../domain/event.ts";

/** The own position that an event had until an epoch began with a move that gave it another one. */
export type FormerPosition = { epoch: bigint; own: bigint };

/** That an event's content was erased, and why. */
export type Erasure = { reason: string; erasedAt: string };

/** An event that comes from another log, with what is known beside it. It is no part of the leaf. */
export type MovedEvent = NewEvent & { was: readonly FormerPosition[]; erasure?: Erasure };
