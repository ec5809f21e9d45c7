import { alone, tellingOfLoss } from "./alone.ts";
import { openPositionsOf } from "./leases.ts";
import type { Parts } from "./parts.ts";
import { endsAny, openRetention } from "./retention/retention.ts";

type Deps = Pick<
  Parts,
  "config" | "ledger" | "erasing" | "leases" | "postgres" | "clock" | "log" | "metrics"
>;

/** The follower that erases excerpts of answers; undefined where all are kept for ever. */
export async function openRetaining(deps: Deps) {
  const { config, ledger, erasing, leases, clock, log, metrics } = deps;
  if (!endsAny(config.excerptDays)) return undefined;
  const positions = await openPositionsOf(deps);
  const erased = metrics.counter("erased_excerpts_total", "Excerpts of answers that were erased.", ["class"]);
  const retention = openRetention({
    ...{ ledger, erasing, days: config.excerptDays, clock, positions },
    onErased(batch) {
      erased.inc({ class: batch.class }, batch.count);
      log.info(batch, "excerpts.erased");
    },
  });
  return {
    run: alone(
      leases,
      "retention",
      (signal, lease) => retention.run(lease, signal),
      tellingOfLoss({ log, metrics }),
    ),
    close: () => positions.close(),
  };
}
