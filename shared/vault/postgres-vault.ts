import { randomBytes } from "node:crypto";
import type { Postgres } from "../postgres/postgres.ts";
import { headText } from "./head-text.ts";
import { openKeptSecrets } from "./kept-secrets.ts";
import { CHECK, openVaultTable } from "./postgres-vault-table.ts";
import { bytesOf, checkKept, openPutQueue, ownName, type Put, secretName } from "./put-queue.ts";
import { authenticate, isAuthentic, KEY_BYTES, seal, unseal } from "./sealed.ts";
import { DamagedVault, UnusableVault, type Vault } from "./vault.ts";

export type PostgresVaultOptions = {
  /** 32 bytes that must not be in the database. */
  key: Uint8Array;
  /** How many secrets are kept in memory, at most. */
  cachedMax?: number;
  /** How long one is kept without asking again. */
  cachedMs?: number;
};

const ENTRIES_PAGE = 1000;

/** The vault in a table of PostgreSQL, for several processes. Every value is sealed with AES-256-GCM under
 *  the key, which the server never sees, and its own name. What one process removes the others forget as soon
 *  as they are notified; one that cannot be reached forgets it after `cachedMs`. */
export async function openPostgresVault(
  postgres: Postgres,
  { key, cachedMax = 10_000, cachedMs = 60_000 }: PostgresVaultOptions,
): Promise<Vault> {
  if (key.byteLength !== KEY_BYTES) throw new RangeError(`a vault's key has ${KEY_BYTES} bytes`);
  const place = `the vault in the schema ${postgres.schema}`;
  const table = await openVaultTable(postgres);
  const found = await table.keep([{ name: CHECK, sealed: seal(key, CHECK, Buffer.from(CHECK)) }]);
  const check = found.get(CHECK) ?? Buffer.alloc(0);
  if (unseal(key, CHECK, check)?.toString() !== CHECK)
    throw new UnusableVault(`${place} was made under another key than that of RUNLEDGER_SECRETS_KEY`);

  const cached = openKeptSecrets(cachedMax, cachedMs);
  /** Counts what was removed: what was read before a removal must not be kept after it. */
  let removals = 0;
  const forget = (name: string | undefined) => {
    removals++;
    if (name === undefined) cached.clear();
    else cached.delete(name);
  };
  const stopListening = await postgres.listen(table.channel, (name) => forget(name || undefined));

  function open(name: string, sealed: Uint8Array): Buffer {
    const secret = unseal(key, name, sealed);
    if (!secret) throw new DamagedVault(`${name} in ${place} was changed: it does not open under its key`);
    return secret;
  }

  /** What was sealed under another key meanwhile is not damaged: this process has the old one. */
  async function checkUnchanged(): Promise<void> {
    const [now] = await table.find([CHECK]);
    if (!now?.[1].equals(check))
      throw new UnusableVault(
        `${place} was sealed under another key: start this process again, with that one`,
      );
  }

  async function readAll(names: readonly string[]): Promise<Map<string, Buffer>> {
    const found = new Map<string, Buffer>();
    const missing = names.filter((name) => {
      const secret = cached.get(name);
      if (secret) found.set(name, secret);
      return !secret;
    });
    if (missing.length === 0) return found;
    const before = removals;
    for (const [name, sealed] of await table.find(missing)) {
      if (!unseal(key, name, sealed)) await checkUnchanged();
      const secret = open(name, sealed);
      found.set(name, secret);
      if (removals === before) cached.set(name, secret);
    }
    return found;
  }
  const read = async (name: string) => cached.get(name) ?? (await readAll([name])).get(name);

  const puts = openPutQueue({
    async keep(batch: readonly Put[]) {
      const before = removals;
      const sealed = batch.map(({ name, secret }) => ({ name, sealed: seal(key, name, secret) }));
      const kept = new Map<string, Buffer>();
      const there = await table.keep(sealed, check);
      if (there.size < batch.length) await checkUnchanged();
      for (const [name, found] of there) {
        if (!unseal(key, name, found)) await checkUnchanged();
        const secret = open(name, found);
        kept.set(name, secret);
        if (removals === before) cached.set(name, secret);
      }
      return kept;
    },
  });

  return {
    async put(id, secret) {
      const bytes = Buffer.from(bytesOf(secret));
      // Never from memory: another process may have removed it a moment ago.
      checkKept(id, await puts.keep(secretName(id), bytes), bytes);
    },
    async find(id) {
      const secret = await read(secretName(id));
      return secret && Buffer.from(secret); // A copy: what a caller does with it is the caller's business.
    },
    async findAll(ids) {
      const secrets = await readAll([...new Set(ids)].map(secretName));
      return new Map(
        ids.flatMap((id) => {
          const secret = secrets.get(secretName(id));
          return secret ? [[id, Buffer.from(secret)] as const] : [];
        }),
      );
    },
    async remove(id) {
      forget(secretName(id));
      await table.remove(secretName(id));
      forget(secretName(id));
    },
    async replace(secrets) {
      if (secrets.length === 0) return;
      const entries = secrets.map(({ id, secret }) => {
        const name = secretName(id);
        return { name, sealed: seal(key, name, secret) };
      });
      for (const { name } of entries) forget(name);
      if (!(await table.replace(entries, check))) await checkUnchanged();
      for (const { name } of entries) forget(name);
    },
    async secretOf(name, bytes) {
      const entry = ownName(name);
      const secret = (await read(entry)) ?? (await puts.keep(entry, randomBytes(bytes)));
      if (secret.byteLength === bytes) return Buffer.from(secret);
      throw new RangeError(`${name} has ${secret.byteLength} bytes, not ${bytes}`);
    },
    async *entries() {
      for (let after = ""; ; ) {
        const page = await table.page(after, ENTRIES_PAGE);
        for (const [name, sealed] of page) if (name !== CHECK) yield { name, secret: open(name, sealed) };
        const last = page.at(-1);
        if (!last || page.length < ENTRIES_PAGE) return;
        after = last[0];
      }
    },
    restore: async ({ name, secret }) => checkKept(name, await puts.keep(name, secret), secret),
    async head() {
      const row = await table.head();
      if (!row) return undefined;
      if (!isAuthentic(key, headText(`${row.position}`, row.leaf), row.code))
        throw new DamagedVault(`the head kept in ${place} was changed: it was not noted under its key`);
      return { position: row.position, leaf: row.leaf };
    },
    keepHead: (position, leaf) =>
      table.keepHead(position, leaf, authenticate(key, headText(`${position}`, leaf)), check),
    async close() {
      await puts.idle();
      await stopListening();
      cached.clear();
    },
  };
}
