import { EPOCH } from "../../shared/event-store/event-store.ts";
import { openSqliteEventStore } from "../../shared/event-store/sqlite-event-store.ts";
import { aggregates } from "../../shared/ledger/aggregates.ts";
import { startEpoch } from "../../shared/ledger/epochs.ts";
import { found } from "../../shared/ledger/found.ts";
import { createKey, newKeyText } from "../../shared/ledger/keys.ts";
import { openLedger } from "../../shared/ledger/ledger.ts";
import { createChildren } from "../../shared/ledger/recipients.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import { openSqliteVault } from "../../shared/vault/sqlite-vault.ts";
import { caller, command, created, did, limits } from "./open-ledger.ts";
import { onLog } from "./tampered-log.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/** Content that is hard to carry: escaped keys, one called `__proto__`, separators of lines, a lone zero. */
const awkward = JSON.parse(
  '{"\\"":1,"\\\\":{"a\\nb":[null,-0.5,1e300]},"__proto__":{"x":1},' +
    '"\\u2028":"\\u2029\\u0000\\r\\n","1":2,"0":1}',
) as object;

/** A data folder with something of everything that a log can hold: several epochs, a parent with recipients,
 *  many events side by side in one stream and many streams in turn, keys, awkward content, erased content;
 *  and a vault with secrets. */
export async function eventfulFolder({ runs = 12, folder = temporaryFolder() } = {}) {
  const key = newKeyText("default");
  const open = async () => {
    const store = openSqliteEventStore(folder);
    const ledger = openLedger({ store, aggregates, limits, ...systemClock, wake: () => {} });
    await found(ledger);
    return { store, ledger };
  };
  const first = await open();
  await createKey(first.ledger, {
    ...caller,
    workspace: "default",
    permissions: ["runs:create", "runs:read", "runs:read_payload", "runs:record", "events:read"],
    text: key,
  });
  const streams: string[] = [];
  for (let run = 0; run < runs; run++) {
    const { stream } = await first.ledger.create(
      "run",
      command(created({}, { input: { run, ...awkward } }), { commandId: `make-${run}` }),
    );
    streams.push(stream);
  }
  const notes = Array.from({ length: 60 }, (_, n) => did("run.noted", { name: `n${n}`, outcome: "ok" }));
  for (const stream of streams.slice(0, 3)) {
    await first.ledger.record(stream, command(did("run.started"), { commandId: "start" }));
    for (let round = 0; round < 3; round++) await first.ledger.record(stream, command(notes));
  }
  await startEpoch(first.ledger, []);
  await first.store.close();

  const second = await open();
  const parent = await second.ledger.create("run", command(created({}, { recipients: ["ada", "grace"] })));
  const [begun] = await Array.fromAsync(second.store.read(parent.stream));
  if (begun) await createChildren(second.ledger, begun);
  for (const stream of streams.slice(3)) await second.ledger.record(stream, command(did("run.started")));
  for (const stream of streams)
    await second.ledger.record(stream, command(did("run.completed", {}, { output: awkward })));
  await startEpoch(second.ledger, [3n * EPOCH]);
  await second.store.close();
  erase(folder, 4n);

  const third = await open();
  const last = await third.ledger.create("run", command(created({}, { input: "last" })));
  const vault = openSqliteVault(folder);
  await vault.put("whsec-1", "a signing secret");
  await vault.secretOf("cursors", 32);
  const head = await third.store.at(await third.store.head());
  if (head) await vault.keepHead(head.position, head.leaf);
  await vault.close();
  const position = await third.store.head();
  await third.store.close();
  return { folder, key, streams, last: last.stream, head: position };
}

function erase(folder: string, position: bigint): void {
  onLog(folder, (db) =>
    db.exec(`INSERT INTO erasures VALUES (${position}, 'asked for', '2026-08-15T10:00:00.000Z');
      UPDATE events SET content = NULL, content_salt = NULL WHERE position = ${position}`),
  );
}
