import { type LookupAddress, type LookupOptions, lookup as systemLookup } from "node:dns";
import type { LookupFunction } from "node:net";
import { type AllowList, isAllowed, isListed } from "../../shared/webhooks/targets.ts";

/** An address that must not be called, found when its name was resolved or when the connection stood. */
export class BlockedTarget extends Error {
  readonly code = "EBLOCKED";
}

type Resolve = (
  hostname: string,
  options: LookupOptions & { all: true },
  done: (error: Error | null, found: LookupAddress[]) => void,
) => void;

/** Resolves a name once and answers with its addresses only where every one of them may be called: a name with one forbidden
 *  address among public ones is somebody trying. Node does not ask it for address literals; `checkTarget` judges those. */
export function vettedLookup(
  allow: AllowList,
  insecure: boolean,
  resolve: Resolve = systemLookup,
): LookupFunction {
  const allowed = (address: string) => isAllowed(address, allow) && (!insecure || isListed(address, allow));
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, "", 0);
      const forbidden = found.find(({ address }) => !allowed(address));
      const [first] = found;
      if (forbidden || !first)
        return callback(new BlockedTarget("a name resolves to an address that is not public"), "", 0);
      if (options.all) callback(null, found);
      else callback(null, first.address, first.family);
    });
  };
}
