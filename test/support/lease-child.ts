// A process that waits for a lease and writes under it: `node lease-child.ts <url> <schema> <leaseMs>`. What
// happens it says in lines on stdout; on each line of stdin it writes once.
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { openPostgresLeases } from "../../shared/leases/postgres-leases.ts";
import { openPostgres } from "../../shared/postgres/postgres.ts";

const [url = "", schema = "", leaseMs = ""] = process.argv.slice(2);
const say = (line: string) => writeSync(1, `${line}\n`);
const postgres = await openPostgres({
  url,
  schema,
  name: "lease-child",
  connectionsMax: 3,
  statementTimeoutMs: 10_000,
  onFault: () => {},
});
const leases = await openPostgresLeases(postgres, {
  leaseMs: Number(leaseMs),
  holder: `child ${process.pid}`,
  onFault: () => {},
});
say("waiting");
const lease = await leases.acquire("writer", new AbortController().signal);
if (!lease) throw new Error("there is no lease");
lease.signal.addEventListener("abort", () => say("aborted"));
say(`held ${lease.token}`);
for await (const line of createInterface({ input: process.stdin })) {
  try {
    await postgres.transaction(async (tx) => {
      await leases.fence(lease)(tx);
      await tx.query("INSERT INTO written VALUES ($1, $2)", [lease.token, line]);
    });
    say("written");
  } catch (error) {
    say(`refused ${(error as { code?: string }).code}`);
  }
}
