/** One promise and the program that measures it. */
export type Bench = { target: string; run(): Promise<Outcome> };

export type Outcome = {
  /** What was measured, as a share of what it is compared with; or, where there is nothing to compare, the
   *  value. */
  ratio?: number;
  value?: number;
  met: boolean;
  /** Of one core, by the process that was measured, all its threads together. */
  cpuShare?: number;
  /** Why this measurement says nothing. */
  void?: string;
  [detail: string]: unknown;
};

/** Below this the measured process was waiting for something else, and its rate is not its own. */
const CPU_SHARE_MIN = 0.9;

export const voidBelow = (cpuShare: number): { void?: string } =>
  cpuShare >= CPU_SHARE_MIN
    ? {}
    : { void: `the measured process used ${cpuShare} of a core, less than ${CPU_SHARE_MIN}` };

/** Part of the time for which a process may have been kept from a core and yet be itself what was
 *  measured. */
const KEPT_OFF_MAX = 0.05;

/** For what waits for the disk and for nothing else: a core is not used meanwhile, but nobody else took it
 *  either. */
export const voidWhereKeptOff = (cpuShare: number, keptOff: number): { void?: string } =>
  keptOff <= KEPT_OFF_MAX ? {} : voidBelow(cpuShare);

export const rounded = (value: number, digits = 3): number => Number(value.toFixed(digits));

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

/** The value that so many percent are not above. */
export function percentile(sorted: ArrayLike<number>, percent: number): number {
  const at = Math.min(sorted.length - 1, Math.ceil((sorted.length * percent) / 100) - 1);
  return sorted[Math.max(0, at)] ?? Number.NaN;
}

/** Measures two things in turns, so that whatever else the machine does hits both alike. */
export async function inTurns<One, Other>(
  windows: number,
  one: (window: number) => Promise<One>,
  other: (window: number) => Promise<Other>,
): Promise<{ ones: One[]; others: Other[] }> {
  const ones: One[] = [];
  const others: Other[] = [];
  for (let window = 0; window < windows; window++) {
    ones.push(await one(window));
    others.push(await other(window));
  }
  return { ones, others };
}
