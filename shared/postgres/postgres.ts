import type { CustomTypesConfig, PoolClient, QueryConfig } from "pg";
import { addressIn, asAway } from "./failures.ts";

/** Values go in as PostgreSQL's driver takes them; a bigint as its decimal digits. */
export type Parameter = string | number | bigint | boolean | Uint8Array | null | readonly unknown[];
export type Row = Record<string, unknown>;

/** Where statements run: the pool, or one transaction. `int8` is a bigint; JSON is left as its text. */
export type Sql = {
  query<Found extends Row = Row>(
    text: string,
    parameters?: readonly Parameter[],
    /** Statements with a name are prepared once for each connection. */
    name?: string,
  ): Promise<Found[]>;
  /** The same, as arrays, in the order of the columns. */
  values(text: string, parameters?: readonly Parameter[], name?: string): Promise<unknown[][]>;
};

export type Transaction = Sql & {
  /** A statement that may take as long as it takes; so may those that follow it. */
  long(text: string): Promise<void>;
};

/** One database, or one schema of it. Everything that is kept there is found through the search path. */
export type Postgres = Sql & {
  readonly schema: string;
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** Calls back for every notification on a channel, and after every (re)connection, when some may have been
   *  missed; returns what ends that. */
  listen(channel: string, onNotified: (payload: string | undefined) => void): Promise<() => Promise<void>>;
  close(): Promise<void>;
};

/** The server, or what is in it, cannot be used by this program: one clear line says why. */
export class UnusablePostgres extends Error {
  readonly code = "unusable_postgres";
}

export type PostgresOptions = {
  url: string;
  /** A schema of its own; made by the first migration. */
  schema: string;
  /** What the server shows of this connection. */
  name: string;
  connectionsMax: number;
  statementTimeoutMs: number;
  /** A connection was lost: the next statement opens another. */
  onFault(error: Error): void;
};

const CONNECT_MS = 5000;
const INT8 = 20;
const JSON_TYPES = new Set([114, 3802]);
const RECONNECT_MS = 500;
/** Statements with a name are planned once, whatever their values. Such a plan knows little of how many rows
 *  there will be, and every statement of ours has an index that leads to its rows in their order. */
const PLANNING = [
  "plan_cache_mode=force_generic_plan",
  ...["enable_seqscan", "enable_bitmapscan", "enable_sort", "jit"].map((way) => `${way}=off`),
  "max_parallel_workers_per_gather=0",
];
const FOR_EVER_MS = 2 ** 31 - 1;

const asText = (text: string): string => text;
const identifier = /^[a-z_][a-z0-9_]{0,62}$/;

/** Connections are made when they are needed: this does not wait for the server. */
export async function openPostgres(options: PostgresOptions): Promise<Postgres> {
  const { url, schema, name, connectionsMax, statementTimeoutMs, onFault } = options;
  if (!identifier.test(schema)) throw new UnusablePostgres(`${schema} is not the name of a schema`);
  const { Client, Pool, types: standard } = await import("pg").then(({ default: pg }) => pg);
  const types = {
    getTypeParser(oid: number, format: "text" | "binary") {
      if (oid === INT8) return BigInt;
      return JSON_TYPES.has(oid) ? asText : standard.getTypeParser(oid, format as "text");
    },
  } as CustomTypesConfig; // The driver's types list every parser's overload.
  const connection = {
    connectionString: url,
    types,
    application_name: name,
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_MS,
    options: [`search_path=${schema}`, "timezone=UTC", ...PLANNING].map((it) => `-c ${it}`).join(" "),
  };
  const pool = new Pool({
    ...connection,
    max: connectionsMax,
    statement_timeout: statementTimeoutMs,
    // The server may be cut off without a word: then the driver gives up a little later.
    query_timeout: statementTimeoutMs + CONNECT_MS,
    idle_in_transaction_session_timeout: statementTimeoutMs,
    idleTimeoutMillis: 60_000,
  });
  const address = addressIn(url);
  const fault = (error: Error): void => onFault(asAway(error, address) as Error); // It was one before.
  const refuse = (error: unknown): never => {
    throw asAway(error, address);
  };
  pool.on("error", fault);
  const closing = new AbortController();

  type Asking = Pick<PoolClient, "query">;
  const over = (on: Asking): Sql => ({
    async query<Found extends Row>(text: string, parameters: readonly Parameter[] = [], statement?: string) {
      const { rows } = await on.query(configOf(text, parameters, statement)).catch(refuse);
      return rows as Found[];
    },
    async values(text, parameters = [], statement) {
      const { rows } = await on
        .query({ ...configOf(text, parameters, statement), rowMode: "array" as const })
        .catch(refuse);
      return rows;
    },
  });

  const transactionOver = (on: Asking): Transaction => ({
    ...over(on),
    async long(text) {
      await on.query("SET LOCAL statement_timeout = 0");
      await on.query({ text, query_timeout: FOR_EVER_MS } as QueryConfig); // Its types lack this option.
    },
  });

  async function transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const client = await pool.connect().catch(refuse);
    client.on("error", fault); // While it is out of the pool, the pool does not listen.
    let broken: Error | undefined;
    try {
      await client.query("BEGIN").catch(refuse);
      const result = await work(transactionOver(client));
      await client.query("COMMIT").catch(refuse);
      return result;
    } catch (error) {
      await client.query("ROLLBACK").catch((cause: Error) => {
        broken = cause;
      });
      throw error;
    } finally {
      client.off("error", fault);
      client.release(broken);
    }
  }

  async function listen(channel: string, onNotified: (payload: string | undefined) => void) {
    if (!identifier.test(channel)) throw new RangeError(`${channel} is not the name of a channel`);
    const ending = new AbortController();
    const signal = AbortSignal.any([ending.signal, closing.signal]);
    const { setTimeout: sleep } = await import("node:timers/promises");
    async function once(): Promise<void> {
      const client = new Client(connection);
      const lost = new Promise<void>((resolve) => {
        client.once("end", resolve);
        client.on("error", (error) => {
          fault(error);
          resolve();
        });
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
      try {
        await client.connect();
        client.on("notification", ({ payload }) => onNotified(payload));
        await client.query(`LISTEN ${channel}`);
        onNotified(undefined);
        await lost;
      } finally {
        await client.end().catch(() => undefined);
      }
    }
    const running = (async () => {
      while (!signal.aborted) {
        await once().catch(fault);
        if (!signal.aborted) await sleep(RECONNECT_MS, undefined, { signal }).catch(() => undefined);
      }
    })();
    return async () => {
      ending.abort();
      await running;
    };
  }

  return {
    schema,
    ...over(pool as Asking),
    transaction,
    listen,
    async close() {
      closing.abort();
      await pool.end();
    },
  };
}

function configOf(text: string, parameters: readonly Parameter[], name: string | undefined): QueryConfig {
  const values = parameters.map((value) => (typeof value === "bigint" ? `${value}` : value));
  return name === undefined ? { text, values } : { text, values, name };
}
