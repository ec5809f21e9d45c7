import type { ApiKey } from "../shared/domain/access/api-key.ts";
import { keyStream } from "../shared/ledger/keys.ts";
import type { Ledger } from "../shared/ledger/ledger.ts";
import type { Clock } from "../shared/platform/clock.ts";

/** How long a key is taken from memory before it is read again, where another process may revoke it; how long
 *  that is waited for; and how long what was read last is good while the log does not answer. */
const RECENT_MS = 1000;
const WAIT_MS = 1000;
const GOOD_MS = 30_000;
const KEYS_MAX = 10_000;

type Reads = Pick<Ledger, "peek" | "find"> & { store: Pick<Ledger["store"], "isShared"> };
type Found = ApiKey | undefined;

/** API keys by their ids, from memory where that is recent enough. */
export function knownKeys(ledger: Reads, clock: Clock) {
  const readMs = new Map<string, number>();
  const reading = new Map<string, Promise<void>>();

  /** Reads a key anew; those who ask meanwhile wait for the same answer. */
  function read(stream: string): Promise<void> {
    const running = reading.get(stream);
    if (running) return running;
    const nowMs = clock.now();
    const begun = ledger
      .find<ApiKey>(stream)
      .then((fold) => {
        if (readMs.size >= KEYS_MAX) readMs.clear();
        if (fold) readMs.set(stream, nowMs);
      })
      .finally(() => reading.delete(stream));
    reading.set(stream, begun);
    return begun;
  }

  return (workspace: string, keyId: string): Found | Promise<Found> => {
    const stream = keyStream(keyId);
    const found = (): Found => {
      const fold = ledger.peek<ApiKey>(stream);
      return fold && fold.events > 0 && fold.workspace === workspace ? fold.state : undefined;
    };
    const isKnown = (ledger.peek<ApiKey>(stream)?.events ?? 0) > 0;
    const ageMs = clock.now() - (readMs.get(stream) ?? Number.NEGATIVE_INFINITY);
    if (isKnown && (!ledger.store.isShared || ageMs < RECENT_MS)) return found();
    const answered = read(stream);
    if (!isKnown || ageMs >= GOOD_MS) return answered.then(found);
    const enough = new AbortController();
    const late = clock.sleep(WAIT_MS, enough.signal);
    // A log that does not answer revokes nothing either.
    return Promise.race([answered, late])
      .then(found, found)
      .finally(() => enough.abort());
  };
}
