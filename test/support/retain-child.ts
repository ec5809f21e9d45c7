// A process that erases the excerpts of a log: `node retain-child.ts <folder> <word> <times>`. What it did it
// says in lines on stdout; when it has said the word so many times it kills itself.
import { writeSync } from "node:fs";
import { openRetention } from "../../services/retention/retention.ts";
import type { Erasing } from "../../shared/event-store/erasing.ts";
import { openSqliteEventStore } from "../../shared/event-store/sqlite-event-store.ts";
import { openSqlitePositions } from "../../shared/leases/sqlite-positions.ts";
import { aggregates } from "../../shared/ledger/aggregates.ts";
import { openLedger } from "../../shared/ledger/ledger.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import { parseConfig } from "../../shared/platform/config.ts";

const [folder = "", word = "", times = "0"] = process.argv.slice(2);
let left = Number(times);

function say(line: string): void {
  writeSync(1, `${line}\n`);
  if (line === word && --left === 0) process.kill(process.pid, "SIGKILL");
}

const { limits } = parseConfig({});
const store = openSqliteEventStore(folder);
const ledger = openLedger({ store, aggregates, limits, ...systemClock, wake: () => {} });
const places = openSqlitePositions(folder);
const erasing: Erasing = {
  ...store,
  async erase(events, erasure) {
    if (events.length === 0) return store.erase(events, erasure);
    say("erasing");
    const half = Math.ceil(events.length / 2);
    await store.erase(events.slice(0, half), erasure);
    say("half");
    await store.erase(events.slice(half), erasure);
    say("erased");
  },
};
const done = new AbortController();
const retention = openRetention({
  ledger,
  erasing,
  days: { delivered: 0, failed: 0 },
  batchMax: 300,
  clock: { now: Date.now, sleep: async () => done.abort() },
  positions: {
    find: places.find,
    async save(...asked) {
      await places.save(...asked);
      say("place");
    },
  },
  onErased: () => say("batch"),
});
const lease = { name: "retention", token: 1n, signal: done.signal, release: async () => {} };
say("begun");
await retention.run(lease, done.signal);
await store.close();
say("done");
process.exit(0);
