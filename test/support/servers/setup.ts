import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { startEventStoreDb } from "./eventstoredb.ts";
import { startKafka } from "./kafka.ts";
import { startPostgres } from "./postgres.ts";
import type { Running } from "./server.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Where a test asks for a server by its name. */
    servers: string;
  }
}

/** Each server, and the variable that names one which is running already. */
const servers: Record<string, { variable: string; start(): Promise<Running> }> = {
  eventstoredb: { variable: "EVENTSTORE_URL", start: startEventStoreDb },
  kafka: { variable: "KAFKA_BROKERS", start: startKafka },
  postgres: { variable: "POSTGRES_URL", start: startPostgres },
};

/** Set while one of this run's projects has begun: the others share its servers. */
const VARIABLE = "TEST_SERVERS";

/** Every server of a test compiles the same sources, on two threads: half of what the tests cost. Whoever
 *  comes later takes what was compiled before. */
async function shareCompiled(): Promise<() => Promise<void>> {
  if (process.env.NODE_COMPILE_CACHE !== undefined) return async () => {};
  const folder = await mkdtemp(join(tmpdir(), "compiled-"));
  process.env.NODE_COMPILE_CACHE = folder;
  return async () => {
    delete process.env.NODE_COMPILE_CACHE;
    // Who ends at this moment may still be writing.
    await rm(folder, { recursive: true, force: true, maxRetries: 5 }).catch(() => {});
  };
}

/** Servers are started when the first test asks for them, once for all tests, and end after the last one. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const shared = process.env[VARIABLE];
  if (shared !== undefined) {
    project.provide("servers", shared);
    return async () => {};
  }
  const endCache = await shareCompiled();
  const started = new Map<string, Promise<Running>>();

  function running(name: string): Promise<Running> {
    const server = servers[name];
    if (!server) throw new RangeError(`there is no server ${name}`);
    const address = process.env[server.variable];
    const known = started.get(name);
    if (known) return known;
    const starting = address ? Promise.resolve({ address, stop: async () => {} }) : server.start();
    started.set(name, starting);
    return starting;
  }

  const http = createServer(async (req, res) => {
    try {
      res.end((await running(`${req.url}`.slice(1))).address);
    } catch (error) {
      res.writeHead(503).end((error as Error).stack);
    }
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  process.env[VARIABLE] = url;
  project.provide("servers", url);
  return async () => {
    delete process.env[VARIABLE];
    http.close();
    http.closeAllConnections();
    for (const server of await Promise.allSettled(started.values()))
      if (server.status === "fulfilled") await server.value.stop();
    await endCache();
  };
}
