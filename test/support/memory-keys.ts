import type { StreamKeys } from "../../shared/event-store/sealed-content.ts";
import { contentKeyId, openStreamKeys } from "../../shared/ledger/stream-keys.ts";
import { SecretTaken } from "../../shared/vault/vault.ts";

/** As much of a vault as keys need: the first secret of an id stays, unless it is replaced. */
export function vaultInMemory() {
  const all = new Map<string, Buffer>();
  return {
    find: async (id: string) => all.get(id),
    findAll: async (ids: readonly string[]) =>
      new Map(ids.flatMap((id) => [all.get(id)].flatMap((key) => (key ? [[id, key] as const] : [])))),
    async put(id: string, secret: Uint8Array | string) {
      const known = all.get(id);
      if (known && Buffer.compare(known, Buffer.from(secret)) !== 0) throw new SecretTaken(id);
      all.set(id, Buffer.from(secret));
    },
    async replace(secrets: readonly { id: string; secret: Uint8Array }[]) {
      for (const { id, secret } of secrets) all.set(id, Buffer.from(secret));
    },
    remove: (id: string) => all.delete(id),
  };
}

/** Keys of sealed content as a vault has them, in memory. */
export function keysInMemory(): StreamKeys & { has(stream: string): boolean; lose(stream: string): void } {
  const vault = vaultInMemory();
  const known = new Set<string>();
  const keys = openStreamKeys(vault);
  return {
    ...keys,
    keyOf(stream) {
      known.add(stream);
      return keys.keyOf(stream);
    },
    has: (stream) => known.has(stream),
    lose: (stream) => void vault.remove(contentKeyId(stream)),
  };
}
