import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { storedLog } from "../../shared/ledger/stored-log.ts";
import { verifyLog } from "../../shared/verification/verify-log.ts";
import { eventfulFolder } from "../support/eventful-folder.ts";
import { onServer, openLog } from "../support/moved-log.ts";
import { type EventStoreDbServer, startEventStoreDb } from "../support/servers/eventstoredb.ts";
import { onLog } from "../support/tampered-log.ts";

const PREFIX = "moved.";

async function serverOfOwn(): Promise<EventStoreDbServer> {
  const server = await startEventStoreDb({ keeps: true });
  onTestFinished(() => server.stop());
  return server;
}

/** Moves a log, and does something as soon as it has begun. */
async function move(folder: string, server: EventStoreDbServer, meanwhile: () => Promise<unknown>) {
  const path = fileURLToPath(new URL("../../services/move.ts", import.meta.url));
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("RUNLEDGER_"));
  const child = spawn(process.execPath, [path], {
    env: {
      ...Object.fromEntries(inherited),
      RUNLEDGER_DATA: folder,
      RUNLEDGER_EVENT_STORE: "eventstoredb",
      RUNLEDGER_EVENT_STORE_URL: server.address,
      RUNLEDGER_STREAM_PREFIX: PREFIX,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let disturbed: Promise<unknown> | undefined;
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (line.startsWith("copying")) disturbed = meanwhile();
  });
  const [err, [code]] = await Promise.all([text(child.stderr), once(child, "close")]);
  await disturbed;
  return { code: code as number | null, err };
}

it.each<[string, (server: EventStoreDbServer) => Promise<unknown>]>([
  ["loses the answers to appends", (server) => server.loseAnswers({ times: 15, how: "unavailable" })],
  ["cancels what it is asked", (server) => server.loseAnswers({ times: 15, how: "cancelled" })],
  ["fails", (server) => server.failAppends({ times: 5, how: "unavailable" })],
  ["does not know positions", (server) => server.hidePositions({ times: 50, position: "negative" })],
  ["is started again", (server) => server.restart()],
])(
  "a move goes on when the server %s",
  async (_, disturb) => {
    const { folder } = await eventfulFolder();
    const server = await serverOfOwn();
    expect(await move(folder, server, () => disturb(server))).toEqual({ code: 0, err: "" });
    const rows = onLog(folder, (db) => db.prepare("SELECT leaf FROM events ORDER BY position").all());
    const place = { url: server.address, streamPrefix: PREFIX };
    await onServer(folder, place, async (store) => {
      expect(await verifyLog(storedLog(store))).toMatchObject({ ok: true, events: rows.length + 1 });
      const events = await Array.fromAsync(store.readAll(0n));
      // What SQLite gives back for a BLOB is bytes.
      const hex = ({ leaf }: { leaf?: unknown }) => Buffer.from(leaf as Uint8Array).toString("hex");
      expect(events.slice(0, -1).map(hex)).toEqual(rows.map(hex));
    });
  },
  60_000,
);

it("a move that finds no server says so in one line, and the source can be written as before", async () => {
  const { folder } = await eventfulFolder({ runs: 3 });
  const server = await serverOfOwn();
  await server.kill();
  const { code, err } = await move(folder, server, async () => {});
  expect([code, err.trimEnd().includes("\n")]).toEqual([1, false]);
  expect(err).toContain("event store");
  await openLog(folder).close();
}, 60_000);
