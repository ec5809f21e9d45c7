import { join } from "node:path";
import { expect, it } from "vitest";
import { EPOCH, type EventStore } from "../../shared/event-store/event-store.ts";
import { checkPosition } from "../../shared/ledger/epochs.ts";
import { variablesFor } from "../support/cell.ts";
import { eventfulFolder } from "../support/eventful-folder.ts";
import { onServer, openLog, type Place } from "../support/moved-log.ts";
import { command, created, openTestLedger } from "../support/open-ledger.ts";
import { runProgram } from "../support/run-program.ts";
import { onLog } from "../support/tampered-log.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

type Env = Record<string, string>;

async function run(program: string, data: string, env: Env, args: string[] = []): Promise<string> {
  const { code, out, err } = await runProgram(`services/${program}.ts`, { data, env, args });
  expect([program, code, code === 0 ? "" : err]).toEqual([program, 0, ""]);
  return out;
}

const placeIn = (env: Env): Place => ({
  url: env.RUNLEDGER_EVENT_STORE_URL ?? "",
  streamPrefix: env.RUNLEDGER_STREAM_PREFIX ?? "",
});

const engines = { eventStoreDb: true, postgres: false, kafka: false };
const positions = async (store: EventStore) =>
  (await Array.fromAsync(store.readAll(0n))).map(({ position }) => position);

it("a log that went to EventStoreDB, to another place and back knows all its positions", async () => {
  const { folder, head } = await eventfulFolder();
  const env = await variablesFor(folder, engines);
  await run("move", folder, env);
  const first = await onServer(folder, placeIn(env), async (store) => {
    const { ledger } = await openTestLedger({ store });
    for (let more = 0; more < 3; more++)
      await ledger.create("run", command(created({}, { input: { more } })));
    return positions(store);
  });
  const file = join(temporaryFolder(), "first.ndjson.gz");
  expect(await run("export", folder, env, [file])).toContain(`exported ${first.length} events`);

  const elsewhere = { ...env, RUNLEDGER_STREAM_PREFIX: `${env.RUNLEDGER_STREAM_PREFIX}again.` };
  const otherFolder = temporaryFolder();
  await run("import", otherFolder, elsewhere, [file]);
  const second = await onServer(otherFolder, placeIn(elsewhere), async (store) => {
    const now = await positions(store);
    for (const index of [0, 7, 300, 583, first.length - 1]) {
      expect(await checkPosition(store, first[index] ?? 0n)).toMatchObject({ position: now[index] });
      if (index > 583) continue;
      expect(await checkPosition(store, 4n * EPOCH + BigInt(index + 1))).toMatchObject({
        position: now[index],
      });
    }
    return now;
  });
  expect(second).toHaveLength(first.length + 1);

  const back = join(temporaryFolder(), "second.ndjson");
  await run("export", otherFolder, elsewhere, [back]);
  const last = temporaryFolder();
  await run("import", last, {}, [back]);
  expect(await run("verify", last, {})).toMatch(new RegExp(`^verified ${second.length + 1} events`));
  const store = openLog(last);
  for (const index of [0, 7, 300, 583, first.length - 1]) {
    const now = 7n * EPOCH + BigInt(index + 1);
    for (const old of [first[index], second[index]])
      expect(await checkPosition(store, old ?? 0n)).toMatchObject({ position: now });
    if (index <= 583)
      expect(await checkPosition(store, 4n * EPOCH + BigInt(index + 1))).toMatchObject({ position: now });
  }
  expect(await checkPosition(store, head)).toMatchObject({ position: 7n * EPOCH + (head % EPOCH) });
  await store.close();
  expect(onLog(last, (db) => db.prepare("SELECT * FROM erasures").all())).toEqual(
    onLog(folder, (db) => db.prepare("SELECT * FROM erasures").all()),
  );
}, 60_000);
