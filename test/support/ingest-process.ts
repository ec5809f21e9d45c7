import { openIngest } from "../../services/ingest/ingest.ts";
import { openSqliteEventStore } from "../../shared/event-store/sqlite-event-store.ts";
import { openKafka } from "../../shared/kafka/client.ts";
import { aggregates } from "../../shared/ledger/aggregates.ts";
import { found } from "../../shared/ledger/found.ts";
import { ensureWorkspace } from "../../shared/ledger/keys.ts";
import { openLedger } from "../../shared/ledger/ledger.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import { parseConfig } from "../../shared/platform/config.ts";
import { openLog } from "../../shared/platform/log.ts";

/** An ingress in a process of its own, to be killed: it sends the number of each message that it settled to
 *  whoever started it. Takes its folder; the broker and its topics are in the environment. */
const [folder = ""] = process.argv.slice(2);
const { limits, kafka: config } = parseConfig(process.env);
if (!config) throw new Error("RUNLEDGER_KAFKA is missing");
const store = openSqliteEventStore(folder);
const ledger = openLedger({ store, aggregates, limits, ...systemClock, wake: () => {} });
const actor = { type: "system", id: "test" } as const;
await found(ledger);
await ensureWorkspace(ledger, { workspace: "default", actor, requestId: null, correlationId: null });
const log = openLog({ level: "warn" });
const kafka = await openKafka(config, { log, name: "test" });
let settled = 0;
const onMessage = () => process.send?.(++settled);
const ingest = openIngest({ ledger, kafka, config, limits, clock: systemClock, log, onMessage });
await ingest.run(new AbortController().signal);
