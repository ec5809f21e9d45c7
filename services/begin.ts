import type { Leases } from "../shared/leases/leases.ts";
import { found } from "../shared/ledger/found.ts";
import type { Ledger } from "../shared/ledger/ledger.ts";
import type { Config } from "../shared/platform/config.ts";
import { firstKey } from "./first-key.ts";
import type { Part } from "./roles.ts";

type Deps = {
  does: ReadonlySet<Part>;
  ledger: Ledger;
  leases: Leases;
  config: Config;
  say(line: string): void;
};

/** A new ledger's first events. Processes that start together do it one after the other, so that there is one
 *  first key: who takes keys makes it, as it was told, and nobody else, who may have been told of none. */
export async function begin({ does, ledger, leases, config, say }: Deps): Promise<void> {
  const never = new AbortController();
  const lease = await leases.acquire("begin", never.signal);
  try {
    await found(ledger);
    if (does.has("api")) await firstKey({ ledger, config, say });
  } finally {
    await lease?.release();
  }
}
