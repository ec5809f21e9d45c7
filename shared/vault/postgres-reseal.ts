import type { Postgres, Transaction } from "../postgres/postgres.ts";
import { headText } from "./head-text.ts";
import { CHECK, openVaultTable } from "./postgres-vault-table.ts";
import { authenticate, isAuthentic, KEY_BYTES, seal, unseal } from "./sealed.ts";
import { DamagedVault, type Resealing, UnusableVault } from "./vault.ts";

const PAGE = 1000;

/** Seals everything that the vault in PostgreSQL has under another key, in one transaction: whatever ends it,
 *  the vault is under the one key or under the other, and nothing is lost. Nobody else writes meanwhile, and
 *  who is open under the old key can keep nothing any more. Answers with how many entries that were;
 *  undefined where they are under the other key already. Under neither: UnusableVault. One that does not
 *  open: DamagedVault, and nothing is changed. */
export async function resealPostgresVault(
  postgres: Postgres,
  { from, to }: Resealing,
): Promise<number | undefined> {
  for (const key of [from, to])
    if (key.byteLength !== KEY_BYTES) throw new RangeError(`a vault's key has ${KEY_BYTES} bytes`);
  await openVaultTable(postgres);
  const place = `the vault in the schema ${postgres.schema}`;
  return postgres.transaction(async (tx) => {
    await tx.query("LOCK TABLE vault_entries, vault_head IN EXCLUSIVE MODE");
    const [check] = await tx.query<{ sealed: Buffer }>("SELECT sealed FROM vault_entries WHERE name = $1", [
      CHECK,
    ]);
    if (!check) throw new UnusableVault(`${place} is empty: there is nothing to seal`);
    if (unseal(to, CHECK, check.sealed)) return undefined;
    if (!unseal(from, CHECK, check.sealed))
      throw new UnusableVault(`${place} was made under another key than that of RUNLEDGER_SECRETS_KEY`);
    const count = await resealEntries(tx, place, { from, to });
    await resealHead(tx, place, { from, to });
    return count - 1; // One of them only shows under which key they are.
  });
}

async function resealEntries(tx: Transaction, place: string, { from, to }: Resealing): Promise<number> {
  for (let after = "", count = 0; ; ) {
    const page = await tx.query<{ name: string; sealed: Buffer }>(
      "SELECT name, sealed FROM vault_entries WHERE name > $1 ORDER BY name LIMIT $2",
      [after, PAGE],
    );
    const resealed = page.map(({ name, sealed }) => {
      const secret = unseal(from, name, sealed);
      if (!secret) throw new DamagedVault(`${name} in ${place} was changed: it does not open under its key`);
      return seal(to, name, secret);
    });
    await tx.query(
      `UPDATE vault_entries AS kept SET sealed = put.sealed
       FROM unnest($1::text[], $2::bytea[]) AS put (name, sealed) WHERE kept.name = put.name`,
      [page.map(({ name }) => name), resealed],
    );
    count += page.length;
    const last = page.at(-1);
    if (!last || page.length < PAGE) return count;
    after = last.name;
  }
}

async function resealHead(tx: Transaction, place: string, { from, to }: Resealing): Promise<void> {
  const [row] = await tx.query<{ position: bigint; leaf: Buffer; code: Buffer }>(
    "SELECT position, leaf, code FROM vault_head",
  );
  if (!row) return;
  const text = headText(`${row.position}`, row.leaf);
  if (!isAuthentic(from, text, row.code))
    throw new DamagedVault(`the head kept in ${place} was changed: it was not noted under its key`);
  await tx.query("UPDATE vault_head SET code = $1", [authenticate(to, text)]);
}
