import type { DeliveryRow } from "../../projections/deliveries/deliveries.table.ts";
import type { Point } from "../support/simulated-process.ts";
import type { World } from "./world.ts";

/** What happened in a world, until nothing was open any more or its time was over. */
export type Told = {
  world: World;
  /** Whether everything owed was closed before the time was over. */
  isOver: boolean;
  kills: readonly { atMs: number; point: Point }[];
  stalls: readonly { fromMs: number; untilMs: number }[];
  /** What the view had of every endpoint at instants when it had everything. */
  watermarks: readonly { position: bigint; rows: readonly DeliveryRow[] }[];
  /** What each dispatcher that was alive at the end had in mind: how much, and which deliveries; and what had
   *  gone wrong in it. */
  minds: readonly {
    remembers: Readonly<Record<string, number>>;
    known: readonly string[];
    faults: readonly Error[];
  }[];
};
