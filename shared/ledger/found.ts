import { newId, streamOf, typeid } from "../verification/ids.ts";
import type { Ledger } from "./ledger.ts";

/** The stream of the ledger's own events. */
export const ledgerStream = (ledger: string): string =>
  streamOf(typeid("ledger", Buffer.from(ledger, "hex")));

/** Records `ledger.created`, the log's first event, where the log is empty. */
export async function found(ledger: Ledger): Promise<void> {
  if ((await ledger.store.head()) > 0n) return;
  const proposed = { type: "ledger.created", data: { ledger: ledger.id, format: 1 } };
  await ledger.record(
    ledgerStream(ledger.id),
    {
      workspace: null,
      actor: { type: "system", id: "ledger" },
      requestId: null,
      correlationId: null,
      operation: "create_ledger",
      items: [{ proposed, made: { id: newId("evt"), causationId: null } }],
    },
    { isNew: true },
  );
}
