import { headText } from "./head-text.ts";
import { authenticate, isAuthentic } from "./sealed.ts";
import type { VaultFile } from "./sqlite-vault-file.ts";
import { DamagedVault, type KeptHead } from "./vault.ts";

export function readHead({ db, path, key }: VaultFile): KeptHead | undefined {
  const row = db.prepare("SELECT position, leaf, code FROM head").get();
  if (!row) return undefined;
  const { position, leaf, code } = row;
  if (typeof position === "string" && leaf instanceof Uint8Array && code instanceof Uint8Array) {
    if (isAuthentic(key, headText(position, leaf), code))
      return { position: BigInt(position), leaf: Buffer.from(leaf) };
  }
  throw new DamagedVault(`the head kept in ${path} was changed: it was not noted under the vault's key`);
}

/** Without waiting for the disk: an older head than the log's is no contradiction, and the log is written all
 *  the time. */
export function keepHead({ db, key }: VaultFile, position: bigint, leaf: Uint8Array): void {
  const code = authenticate(key, headText(String(position), leaf));
  db.exec("PRAGMA synchronous = NORMAL");
  try {
    db.prepare(
      `INSERT INTO head VALUES (1, ?, ?, ?) ON CONFLICT (one) DO UPDATE
       SET position = excluded.position, leaf = excluded.leaf, code = excluded.code
       WHERE CAST(head.position AS INTEGER) < CAST(excluded.position AS INTEGER)`,
    ).run(String(position), leaf, code);
  } finally {
    db.exec("PRAGMA synchronous = FULL");
  }
}
