import { randomBytes } from "node:crypto";
import { KEY_BYTES, type StreamKeys } from "../event-store/sealed-content.ts";
import { SecretTaken, type Vault } from "../vault/vault.ts";

/** What the vault calls the key under which a stream's content is sealed. Removing it erases the content. */
export const contentKeyId = (stream: string): string => `content-${stream}`;

/** The keys that there are, for who only reads. */
export const openStreamKeyReader = (vault: Pick<Vault, "findAll">): Pick<StreamKeys, "find"> => ({
  async find(streams) {
    const found = await vault.findAll(streams.map(contentKeyId));
    const keys = new Map<string, Buffer>();
    for (const stream of streams) {
      const key = found.get(contentKeyId(stream));
      if (key) keys.set(stream, key);
    }
    return keys;
  },
});

/** The keys of sealed content, in the vault. What is known in memory is the vault's to say: a key that was
 *  removed must not be remembered here. */
export function openStreamKeys(vault: Pick<Vault, "find" | "findAll" | "put">): StreamKeys {
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
    keyOf(stream) {
      let key = making.get(stream);
      if (!key) {
        key = make(stream).finally(() => making.delete(stream));
        making.set(stream, key);
      }
      return key;
    },

    ...openStreamKeyReader(vault),
  };
}
