import type { Leases } from "../shared/leases/leases.ts";
import { found } from "../shared/ledger/found.ts";
import type { Ledger } from "../shared/ledger/ledger.ts";
import type { Config } from "../shared/platform/config.ts";
import { firstKey } from "./first-key.ts";

type Deps = { ledger: Ledger; leases: Leases; config: Config; say(line: string): void };

/** A new ledger's first events. Processes that start together do it one after the other, so that there is one
 *  first key. */
export async function begin({ ledger, leases, config, say }: Deps): Promise<void> {
  const never = new AbortController();
  const lease = await leases.acquire("begin", never.signal);
  try {
    await found(ledger);
    await firstKey({ ledger, config, say });
  } finally {
    await lease?.release();
  }
}
