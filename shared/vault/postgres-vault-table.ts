import { migrate } from "../postgres/migrations.ts";
import type { Postgres } from "../postgres/postgres.ts";
import { VaultFull } from "./vault.ts";

const steps = [
  `CREATE TABLE vault_entries (name text COLLATE "C" PRIMARY KEY, sealed bytea NOT NULL);
  CREATE TABLE vault_head (
    one integer PRIMARY KEY CHECK (one = 1),
    position bigint NOT NULL,
    leaf bytea NOT NULL,
    code bytea NOT NULL
  )`,
];

/** An entry that is always the same: it opens only under the key that the vault was made with. Its bytes are
 *  others once the vault was sealed under another key. */
export const CHECK = "check";

type SealedEntry = { name: string; sealed: Buffer };

/** https://www.postgresql.org/docs/current/errcodes-appendix.html: disk_full. */
const DISK_FULL = "53100";
/** A notification has less than 8,000 bytes. */
const NOTICE_BYTES_MAX = 4000;

const UNCHANGED = `SELECT FROM vault_entries WHERE name = '${CHECK}' AND sealed =`;

/** The statements that the vault is made of: what they see is sealed. */
export async function openVaultTable(postgres: Postgres) {
  await migrate(postgres, { room: "vault", steps });
  const channel = `${postgres.schema}_vault`;

  const find = async (names: readonly string[]): Promise<[string, Buffer][]> => {
    const rows = await postgres.query<SealedEntry>(
      "SELECT name, sealed FROM vault_entries WHERE name = ANY($1::text[])",
      [names],
    );
    return rows.map(({ name, sealed }) => [name, sealed]);
  };

  return {
    channel,
    find,
    /** Keeps those whose names are free, all in one statement, and answers with what each name has then.
     *  Where the check is another one than was seen nothing is kept. Sorted, so that two processes wait for
     *  each other in one order. */
    async keep(entries: readonly SealedEntry[], seen?: Buffer): Promise<Map<string, Buffer>> {
      const own = new Map(entries.map(({ name, sealed }) => [name, sealed]));
      try {
        const kept = await postgres.query<{ name: string }>(
          `INSERT INTO vault_entries
           SELECT * FROM unnest($1::text[], $2::bytea[]) AS put (name, sealed)
           WHERE $3::bytea IS NULL OR EXISTS (${UNCHANGED} $3)
           ORDER BY name COLLATE "C" ON CONFLICT DO NOTHING RETURNING name`,
          [[...own.keys()], [...own.values()], seen ?? null],
        );
        const mine = new Set(kept.map(({ name }) => name));
        const others = [...own.keys()].filter((name) => !mine.has(name));
        const found = others.length === 0 ? [] : await find(others);
        return new Map([...[...own].filter(([name]) => mine.has(name)), ...found]);
      } catch (error) {
        if ((error as { code?: string }).code !== DISK_FULL) throw error;
        throw new VaultFull("the vault has no room", { cause: error });
      }
    },
    /** Gone with the same commit that tells the others. The server clears the space of it later by itself. */
    async remove(name: string): Promise<void> {
      const notice = Buffer.byteLength(name) > NOTICE_BYTES_MAX ? "" : name;
      await postgres.query(
        `WITH removed AS (DELETE FROM vault_entries WHERE name = $1 RETURNING name)
         SELECT pg_notify($2, $3) FROM removed`,
        [name, channel, notice],
      );
    },
    /** What these names have now is gone, and the others are told, with the same commit. False, and nothing
     *  is changed, where the check is another one than was seen. */
    async replace(entries: readonly SealedEntry[], seen: Buffer): Promise<boolean> {
      const replaced = await postgres.query(
        `WITH replaced AS (
           INSERT INTO vault_entries
           SELECT * FROM unnest($1::text[], $2::bytea[]) AS put (name, sealed)
           WHERE EXISTS (${UNCHANGED} $3) ORDER BY name COLLATE "C"
           ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed RETURNING name
         )
         SELECT pg_notify($4, CASE WHEN octet_length(name) > ${NOTICE_BYTES_MAX} THEN '' ELSE name END)
         FROM replaced`,
        [entries.map(({ name }) => name), entries.map(({ sealed }) => sealed), seen, channel],
      );
      return replaced.length === entries.length;
    },
    page: (after: string, limit: number): Promise<[string, Buffer][]> =>
      postgres
        .query<SealedEntry>("SELECT * FROM vault_entries WHERE name > $1 ORDER BY name LIMIT $2", [
          after,
          limit,
        ])
        .then((rows) => rows.map(({ name, sealed }) => [name, sealed])),
    async head(): Promise<{ position: bigint; leaf: Buffer; code: Buffer } | undefined> {
      const [row] = await postgres.query<{ position: bigint; leaf: Buffer; code: Buffer }>(
        "SELECT position, leaf, code FROM vault_head",
      );
      return row;
    },
    /** Several processes note heads: the furthest stays. Nothing is noted where the check is another one. */
    async keepHead(position: bigint, leaf: Uint8Array, code: Uint8Array, seen: Buffer): Promise<void> {
      await postgres.query(
        `INSERT INTO vault_head AS kept
         SELECT 1, $1::bigint, $2::bytea, $3::bytea WHERE EXISTS (${UNCHANGED} $4)
         ON CONFLICT (one) DO UPDATE
         SET position = excluded.position, leaf = excluded.leaf, code = excluded.code
         WHERE kept.position < excluded.position`,
        [position, leaf, code, seen],
      );
    },
  };
}
