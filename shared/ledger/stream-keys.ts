import { randomBytes } from "node:crypto";
import type { Erasure } from "../event-store/moved-event.ts";
import { KEY_BYTES, type StreamKeyReader, type StreamKeys } from "../event-store/sealed-content.ts";
import { SecretTaken, type Vault } from "../vault/vault.ts";

/** What the vault calls the key under which a stream's content is sealed. Without it the content is
 *  erased. */
export const contentKeyId = (stream: string): string => `content-${stream}`;

/** How many keys are erased in one transaction of the vault. */
const ERASED_TOGETHER = 500;

/** What stands in a key's place once it was erased: so nobody makes another, under which older content would
 *  seem damaged. No key is as long. */
const erasureText = ({ reason, erasedAt }: Erasure): string => JSON.stringify({ reason, erasedAt });
const isKey = (secret: Buffer): boolean => secret.length === KEY_BYTES;
const erasureIn = (secret: Buffer | undefined): Erasure | undefined =>
  secret && !isKey(secret) ? (JSON.parse(secret.toString()) as Erasure) : undefined;

/** The keys that there are, for who only reads. */
export const openStreamKeyReader = (vault: Pick<Vault, "find" | "findAll">): StreamKeyReader => ({
  async find(streams) {
    const found = await vault.findAll(streams.map(contentKeyId));
    const keys = new Map<string, Buffer>();
    for (const stream of streams) {
      const key = found.get(contentKeyId(stream));
      if (key && isKey(key)) keys.set(stream, key);
    }
    return keys;
  },
  erasureOf: async (stream) => erasureIn(await vault.find(contentKeyId(stream))),
});

/** The keys of sealed content, in the vault. What is known in memory is the vault's to say: a key that was
 *  removed must not be remembered here. */
export function openStreamKeys(vault: Pick<Vault, "find" | "findAll" | "put" | "replace">): StreamKeys {
  /** Of several who want a key that is not there yet, one makes it. */
  const making = new Map<string, Promise<Buffer>>();

  async function make(stream: string): Promise<Buffer> {
    const id = contentKeyId(stream);
    const known = await vault.find(id);
    if (known) return known;
    const made = randomBytes(KEY_BYTES);
    try {
      await vault.put(id, made);
      return made;
    } catch (error) {
      // Another process was faster: its key is the stream's.
      const theirs = error instanceof SecretTaken ? await vault.find(id) : undefined;
      if (!theirs) throw error;
      return theirs;
    }
  }

  return {
    async keyOf(stream) {
      let key = making.get(stream);
      if (!key) {
        key = make(stream).finally(() => making.delete(stream));
        making.set(stream, key);
      }
      const found = await key;
      return erasureIn(found) ?? found;
    },

    async erase(streams, erasure) {
      const secret = Buffer.from(erasureText(erasure));
      for (let from = 0; from === 0 || from < streams.length; from += ERASED_TOGETHER) {
        const found = await vault.findAll(streams.slice(from, from + ERASED_TOGETHER).map(contentKeyId));
        // Why it was erased first is what stays.
        const ids = [...found].flatMap(([id, key]) => (isKey(key) ? [id] : []));
        await vault.replace(ids.map((id) => ({ id, secret })));
      }
    },

    ...openStreamKeyReader(vault),
  };
}
