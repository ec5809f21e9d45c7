// A process that holds a log: `node append-child.ts <folder> <what>`. What it did it says in lines on stdout,
// each written before it goes on; what it is to do next it reads from stdin.
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import type { NewEvent } from "../../shared/domain/event.ts";
import { type OutcomeUnknown, StorageFull } from "../../shared/event-store/event-store.ts";
import { openSqliteEventStore } from "../../shared/event-store/sqlite-event-store.ts";
import { newStream, sealed, several } from "./sealed.ts";

const [folder = "", what = ""] = process.argv.slice(2);
const say = (line: string) => writeSync(1, `${line}\n`);

function open() {
  try {
    return openSqliteEventStore(folder, {
      onGroup: (events) => say(`group ${events}`),
      onFault: () => say("fault"),
    });
  } catch (error) {
    say(`refused ${(error as Error).message}`);
    return process.exit(1);
  }
}

const store = open();
const stream = newStream();
let last: NewEvent | undefined;

/** One event more, with so much content; says its id as soon as it is acknowledged. */
async function append(characters = 0): Promise<void> {
  const [event] = sealed(store.ledger, stream, [{ content: { text: "x".repeat(characters) } }], last);
  if (!event) return;
  await store.append(stream, event.revision, [event]);
  last = event;
  say(`recorded ${event.id}`);
}

/** Appends until it cannot go on. */
async function fill(): Promise<void> {
  try {
    for (;;) await append(2000);
  } catch (error) {
    say(error instanceof StorageFull ? "full" : `failed ${(error as OutcomeUnknown).code}`);
  }
}

say("open");
if (what === "one-by-one") for (let count = 0; count < 10; count++) await append();
if (what === "together") {
  for (let round = 0; round < 5; round++) {
    const streams = Array.from({ length: 40 }, () => newStream());
    const all = streams.map((each) => store.append(each, 0, sealed(store.ledger, each, several(1))));
    await Promise.all(all);
    say("acknowledged 40");
  }
}
if (what === "fill") await fill();
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "append") await append();
  if (line === "fill") await fill();
  if (line === "read") say(`read ${(await Array.fromAsync(store.read(stream))).length}`);
  if (line === "end") break;
}
await store.close();
say("closed");
process.exit(0);
