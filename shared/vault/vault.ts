/** An event of the log: where it stands, and its leaf hash. */
export type KeptHead = { position: bigint; leaf: Buffer };

/** A secret, and what a vault calls it. */
export type Entry = { name: string; secret: Buffer };

/** From one key of a vault to another. */
export type Resealing = { from: Uint8Array; to: Uint8Array };

/** What is secret and so never enters the log: signing secrets and other keys, each under an id that the log
 *  may name. At rest everything is encrypted, bound to its id. What cannot be decrypted, or was changed, is
 *  DamagedVault. */
export interface Vault {
  /** Durable when it resolves, so that the log may name the id; what is put in one turn of the event loop
   *  becomes durable together. The same secret under its id again: fine.
   *  Another one: SecretTaken, and the first one stays. A text is kept as UTF-8. */
  put(id: string, secret: Uint8Array | string): Promise<void>;
  /** The secret of an id; undefined where there is none. Answered from memory once it is known. */
  find(id: string): Promise<Buffer | undefined>;
  /** Those of these secrets that there are, looked up together. */
  findAll(ids: readonly string[]): Promise<Map<string, Buffer>>;
  /** Gone for good when it resolves: nobody finds it any more, and of a vault in a file not even the
   *  encrypted bytes are left. An id that nobody has: fine. */
  remove(id: string): Promise<void>;
  /** Other secrets in the places of these, all or none: what was there is gone for good when it resolves, as
   *  with `remove`, and at no moment is there nothing. Of none: it ends what an earlier one could not. */
  replace(secrets: readonly { id: string; secret: Uint8Array }[]): Promise<void>;
  /** The vault's own secret of that name: made of random bytes when it is first asked for, the same ever
   *  after. */
  secretOf(name: string, bytes: number): Promise<Buffer>;
  /** Everything that is kept but the head, under the names that it has inside: for a move to another
   *  vault. */
  entries(): AsyncIterable<Entry>;
  /** Keeps what `entries` of another vault said. The same again: fine; another secret: SecretTaken. */
  restore(entry: Entry): Promise<void>;
  /** The newest event of the log that was noted here; a log without it was cut or put back. */
  head(): Promise<KeptHead | undefined>;
  /** Notes an event of the log; an earlier one than is noted already changes nothing. Not secret, but nobody
   *  can change it unseen. It may be lost in a power cut. */
  keepHead(position: bigint, leaf: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** The id has another secret. */
export class SecretTaken extends Error {
  readonly code = "secret_taken";
  constructor(id: string) {
    super(`${id} has another secret`);
  }
}

/** An entry was changed, or moved to another id, by something else than the vault. */
export class DamagedVault extends Error {
  readonly code = "damaged_vault";
}

/** The vault has no room; nothing was kept. */
export class VaultFull extends Error {
  readonly code = "storage_full";
}

/** What should be the vault, or its key, cannot be used by this program: one clear line says why. */
export class UnusableVault extends Error {
  readonly code = "unusable_vault";
}
