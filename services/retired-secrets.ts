import type { EndpointHistory, EndpointVersion } from "../shared/domain/endpoint/history.ts";
import type { RecordedEvent } from "../shared/domain/event.ts";
import type { Vault } from "../shared/vault/vault.ts";

type Deps = {
  endpoints: Pick<EndpointHistory, "current">;
  secrets: Pick<Vault, "findAll" | "remove">;
  now(): number;
};

/** For so long after its last use a secret stays: others hear of that a moment later, and still sign. */
const KEPT_MS = 60_000;

/** What endpoints have signed with, or sent in their headers, and do not any more: the vault forgets it a
 *  minute after its overlap ended, after another took its place, or after the endpoint was deleted. What the
 *  vault keeps is only what the log says is used. */
export function openRetiredSecrets({ endpoints, secrets, now }: Deps) {
  /** Keys that the log has named, by endpoint, but those that are gone. */
  const named = new Map<string, Set<string>>();

  /** Until when a key is needed; Infinity while nobody has said. */
  function neededUntilMs(endpoint: EndpointVersion, keyId: string): number {
    const { status, secretKeyIds, overlapUntil, policy, updatedAt } = endpoint;
    if (status === "deleted") return Date.parse(updatedAt);
    if (keyId === secretKeyIds[0] || keyId === policy.headersKeyId) return Number.POSITIVE_INFINITY;
    const isOlder = secretKeyIds.includes(keyId) && overlapUntil !== null;
    return isOlder ? Date.parse(overlapUntil) : Date.parse(updatedAt);
  }

  return {
    /** Takes the next event of the log. */
    take({ stream, data }: Pick<RecordedEvent, "stream" | "data">): void {
      if (!stream.startsWith("endpoint-")) return;
      const ids = [data.secretKeyIds, data.headersKeyId].flat().filter((id) => typeof id === "string");
      if (ids.length > 0) named.set(stream, new Set([...(named.get(stream) ?? []), ...ids]));
    },
    /** Removes what is due. */
    async sweep(): Promise<void> {
      for (const [stream, ids] of named) {
        const endpoint = endpoints.current(stream);
        if (!endpoint) continue;
        const due = [...ids].filter((id) => neededUntilMs(endpoint, id) + KEPT_MS <= now());
        // Asked first: to remove what is gone costs as much as what is there.
        if (due.length > 0) for (const id of (await secrets.findAll(due)).keys()) await secrets.remove(id);
        for (const id of due) ids.delete(id);
        if (ids.size === 0) named.delete(stream);
      }
    },
  };
}
