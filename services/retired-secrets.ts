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
  /** Keys that the log has named, by endpoint, each with when it was named no more; without those that are
   *  gone. */
  const named = new Map<string, Map<string, number | undefined>>();

  /** Until when a key is needed; Infinity while nobody has said. */
  function neededUntilMs(endpoint: EndpointVersion, keyId: string, endedMs: number | undefined): number {
    const { status, secretKeyIds, overlapUntil } = endpoint;
    if (endedMs !== undefined) return endedMs;
    const isOlder = status !== "deleted" && secretKeyIds.indexOf(keyId) > 0;
    return isOlder && overlapUntil !== null ? Date.parse(overlapUntil) : Number.POSITIVE_INFINITY;
  }

  return {
    /** Takes the next event of the log, after the history has. */
    take({ stream, data, meta }: Pick<RecordedEvent, "stream" | "data" | "meta">): void {
      const endpoint = stream.startsWith("endpoint-") ? endpoints.current(stream) : undefined;
      if (!endpoint) return;
      const known = named.get(stream) ?? new Map<string, number | undefined>();
      const ids = [data.secretKeyIds, data.headersKeyId].flat().filter((id) => typeof id === "string");
      for (const id of ids) if (!known.has(id)) known.set(id, undefined);
      const used = new Set([...endpoint.secretKeyIds, endpoint.policy.headersKeyId]);
      for (const [id, endedMs] of known)
        if (endedMs === undefined && (endpoint.status === "deleted" || !used.has(id)))
          known.set(id, Date.parse(meta.recordedAt));
      if (known.size > 0) named.set(stream, known);
    },
    /** Removes what is due. */
    async sweep(): Promise<void> {
      for (const [stream, ids] of named) {
        const endpoint = endpoints.current(stream);
        if (!endpoint) continue;
        const due = [...ids].flatMap(([id, endedMs]) =>
          neededUntilMs(endpoint, id, endedMs) + KEPT_MS <= now() ? [id] : [],
        );
        // Asked first: to remove what is gone costs as much as what is there.
        if (due.length > 0) for (const id of (await secrets.findAll(due)).keys()) await secrets.remove(id);
        for (const id of due) ids.delete(id);
        if (ids.size === 0) named.delete(stream);
      }
    },
  };
}
