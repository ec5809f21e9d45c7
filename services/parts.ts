import type { RowReader } from "../projections/row-store.ts";
import type { Bus } from "../shared/bus/bus.ts";
import type { Erasing } from "../shared/event-store/erasing.ts";
import type { Leases } from "../shared/leases/leases.ts";
import type { Fence } from "../shared/leases/postgres-leases.ts";
import type { Ledger } from "../shared/ledger/ledger.ts";
import type { Refusals } from "../shared/ledger/refusals.ts";
import type { Clock } from "../shared/platform/clock.ts";
import type { Config } from "../shared/platform/config.ts";
import type { Log } from "../shared/platform/log.ts";
import type { Metrics } from "../shared/platform/metrics.ts";
import type { Postgres } from "../shared/postgres/postgres.ts";
import type { Vault } from "../shared/vault/vault.ts";
import type { Progress } from "./projector/progress.ts";
import type { Part } from "./roles.ts";
import type { Traces } from "./tracing.ts";

/** What is open in a process, and handed to whoever stands on it. */
export type Parts = {
  /** What this process does. */
  does: ReadonlySet<Part>;
  config: Config;
  ledger: Ledger;
  /** Takes content out of the ledger's log again. */
  erasing: Erasing;
  refusals: Refusals;
  vault: Vault;
  rows: RowReader;
  /** How far the views are. */
  progress: Progress;
  /** Wakes those of this process who wait for the log to grow. */
  bus: Bus;
  leases: Leases & { fence?: Fence };
  postgres: Postgres | undefined;
  clock: Clock;
  log: Log;
  /** Says a fault by its name, and not too often. */
  fault(name: string): (error: unknown) => void;
  metrics: Metrics;
  /** Where traces go; undefined where nobody asked for them. */
  traces: Traces | undefined;
  /** Something that this process cannot go on with: it stops, and answers what is open before. */
  onFatal(error: Error): void;
};
