import type { RowReader } from "../projections/row-store.ts";
import type { Ledger } from "../shared/ledger/ledger.ts";
import type { Clock } from "../shared/platform/clock.ts";
import type { Config } from "../shared/platform/config.ts";
import type { Log } from "../shared/platform/log.ts";
import type { Metrics } from "../shared/platform/metrics.ts";
import type { Vault } from "../shared/vault/vault.ts";
import type { Progress } from "./projector/progress.ts";

/** What is open in a server, and handed to whoever stands on it. */
export type Parts = {
  config: Config;
  ledger: Ledger;
  vault: Vault;
  rows: RowReader;
  /** How far the views are. */
  progress: Progress;
  clock: Clock;
  log: Log;
  metrics: Metrics;
};
