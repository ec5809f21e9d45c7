/** PostgreSQL does not answer, or not in time. Whether a statement was carried out is not known: all of ours
 *  may be asked again. */
export class PostgresAway extends Error {
  readonly code = "postgres_away";
}

/** Of the system, and of the server where it ends, begins, or has no room: SQLSTATE classes 08, 53 and 57. */
const CODES = /^(E[A-Z_]+|08...|53...|57...)$/;
/** The driver's own, which have no code. */
const MESSAGES = [
  "Connection terminated",
  "timeout exceeded when trying to connect",
  "Query read timeout",
  "Client has encountered a connection error",
  "Client was closed",
];

/** The same error, as one that says in one line that the server is away where that is what it means. */
export function asAway(error: unknown, address: string): unknown {
  if (!(error instanceof Error) || error instanceof PostgresAway) return error;
  const { code } = error as { code?: unknown };
  const isAway =
    typeof code === "string" ? CODES.test(code) : MESSAGES.some((known) => error.message.startsWith(known));
  if (!isAway) return error;
  // Where a name has several addresses the driver says nothing but a code.
  const why = error.message === "" ? String(code) : error.message;
  return new PostgresAway(`PostgreSQL at ${address} cannot be asked: ${why}`, { cause: error });
}

/** Where a connection string leads, without anybody's credentials. */
export function addressIn(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return "its address";
  }
}
