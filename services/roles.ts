import type { Config } from "../shared/platform/config.ts";
import { StartupError } from "../shared/platform/errors.ts";

/** What a process can do of all that a ledger needs. */
export const parts = ["api", "dispatcher", "projector", "recipients", "publisher", "ingest"] as const;
export type Part = (typeof parts)[number];

const needsKafka: readonly Part[] = ["publisher", "ingest"];

/** What the process of a role does; `all` does everything that is configured. A StartupError says in one line
 *  what the configuration lacks for it. */
export function partsOf(role: string, config: Config): ReadonlySet<Part> {
  if (role === "all") return new Set(parts.filter((part) => config.kafka || !needsKafka.includes(part)));
  const part = parts.find((each) => each === role);
  if (!part) throw new StartupError(`there is no process ${role}: one of all, ${parts.join(", ")}`);
  if (!config.eventStoreDb || !config.postgres)
    throw new StartupError(
      `a process of its own for ${role} needs RUNLEDGER_EVENT_STORE=eventstoredb and ` +
        "RUNLEDGER_VIEWS=postgres: SQLite files are for one process, which is `all`",
    );
  if (needsKafka.includes(part) && !config.kafka) throw new StartupError(`${role} needs RUNLEDGER_KAFKA`);
  return new Set([part]);
}
