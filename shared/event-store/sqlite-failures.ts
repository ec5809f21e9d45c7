import { OutcomeUnknown, StorageFull, VersionConflict } from "./event-store.ts";

// https://sqlite.org/rescode.html
const SQLITE_FULL = 13;
const SQLITE_IOERR = 10;
const SQLITE_IOERR_WRITE = 778;
const SQLITE_CONSTRAINT = 19;

const codeOf = (error: Error): number => (error as Error & { errcode?: number }).errcode ?? 0;
const primary = (error: Error): number => codeOf(error) & 0xff;
/** No room, found out at INSERT or at COMMIT. */
export const isFull = (error: Error): boolean =>
  primary(error) === SQLITE_FULL || codeOf(error) === SQLITE_IOERR_WRITE;
/** After a failed fsync or read nobody knows what the disk holds. */
export const isUntrusted = (error: Error): boolean => primary(error) === SQLITE_IOERR && !isFull(error);

/** What an append that failed inside a transaction that still stands is answered with. */
export function refusal(error: Error, stream: string, expected: number): Error {
  if (error instanceof VersionConflict) return error;
  if (primary(error) === SQLITE_CONSTRAINT) return new VersionConflict(stream, expected);
  if (isFull(error)) return new StorageFull("the log has no room", { cause: error });
  if (isUntrusted(error))
    return new OutcomeUnknown("the disk failed while the log was written", { cause: error });
  return error;
}
