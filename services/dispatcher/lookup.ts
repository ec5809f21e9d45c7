import type { LookupAddress, LookupOptions } from "node:dns";
import { lookup as systemLookup } from "node:dns/promises";
import type { LookupFunction } from "node:net";

/** An address that must not be called, found when a name was resolved or when a connection stood. */
export class BlockedTarget extends Error {
  readonly code = "EBLOCKED";
}

/** We have waited long enough. */
export class TookTooLong extends Error {}

export type Resolve = (
  hostname: string,
  options: LookupOptions & { all: true },
) => Promise<readonly LookupAddress[]>;

/** Resolves a name once and passes on what it vetted, and that only where every address may be called: one
 *  forbidden among public ones is somebody trying. Node does not ask it about addresses; those are judged
 *  before. */
export function vettedLookup(
  mayCall: (address: string) => boolean,
  resolve: Resolve = systemLookup,
): LookupFunction {
  /** The system resolves a few names at a time. Those who wait for the same one wait together, so that a
   *  name whose servers are silent takes one place and not all. */
  const resolving = new Map<string, Promise<readonly LookupAddress[]>>();

  function resolveOnce(hostname: string, options: LookupOptions): Promise<readonly LookupAddress[]> {
    const known = resolving.get(hostname);
    if (known) return known;
    const found = resolve(hostname, { ...options, all: true }).finally(() => resolving.delete(hostname));
    resolving.set(hostname, found);
    return found;
  }

  return (hostname, options, callback) => {
    resolveOnce(hostname, options).then(
      (found) => {
        const [first] = found;
        if (!first || !found.every(({ address }) => mayCall(address)))
          callback(new BlockedTarget(`${hostname} resolves to an address that may not be called`), "", 0);
        else if (options.all) callback(null, [...found]);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, "", 0),
    );
  };
}
