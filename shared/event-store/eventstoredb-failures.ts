import { Overloaded, UnusableLog } from "./event-store.ts";

/** What the client calls an error, in `type`: https://github.com/EventStore/EventStore-Client-NodeJS. */
const typeOf = (error: unknown): string | undefined => (error as { type?: string } | undefined)?.type;

export const isWrongRevision = (error: unknown): boolean => typeOf(error) === "wrong-expected-version";
export const isNoStream = (error: unknown): boolean =>
  typeOf(error) === "stream-not-found" || typeOf(error) === "no-stream";

/** What asking again does not change. Everything else is a lost answer: whatever was asked may have been
 *  done. */
const LASTING: Readonly<Record<string, string>> = {
  "access-denied": "it refuses our credentials",
  "stream-deleted": "a stream of the log was deleted there",
  "maximum-append-size-exceeded": "its limit for one append is lower than ours",
};

/** The error that asking again would only repeat; undefined where it might not. */
export function lastingFailure(error: unknown): Error | undefined {
  if (error instanceof UnusableLog || error instanceof RangeError) return error;
  const reason = LASTING[typeOf(error) ?? ""];
  return reason === undefined
    ? undefined
    : new UnusableLog(`the event store cannot be used: ${reason}`, { cause: error });
}

/** Nobody answered in time. */
export class NoAnswer extends Error {
  constructor() {
    super("the event store did not answer in time");
  }
}

/** What a read is answered with when the store has not answered for too long; nothing was changed. */
export const unreachable = (cause: unknown): Overloaded =>
  new Overloaded("the event store does not answer", { cause });

/** One line about an error, for whoever starts the program. */
export function lineOf(error: unknown): string {
  const [line] = (error instanceof Error ? error.message : String(error)).split("\n");
  return line ?? "";
}

/** Where a connection string leads, without anybody's credentials. */
export const addressIn = (url: string): string => /^[^:]+:\/\/(?:.*@)?([^/?@]*)/.exec(url)?.[1] ?? "";

/** How a server may answer who reads from where no event begins. */
export const isNoPlace = (error: unknown): boolean =>
  typeOf(error) === "unknown" || typeOf(error) === "invalid-argument";
