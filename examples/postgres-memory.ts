import type { Pool } from "pg";
import type { ReceiverMemory } from "runledger/receiver";

/** What several processes share, and what outlives each of them. A claim is good for five minutes: who has
 *  not finished by then is taken for dead. */
export async function openPostgresMemory(pool: Pool): Promise<ReceiverMemory> {
  await pool.query(`CREATE TABLE IF NOT EXISTS webhooks_received (
    id text PRIMARY KEY, begun_at timestamptz NOT NULL, done_at timestamptz,
    run text, event text, revision integer
  )`);
  await pool.query("CREATE INDEX IF NOT EXISTS webhooks_received_by_run ON webhooks_received (run)");

  return {
    async begin(id) {
      // The insert decides: of two at the same time one finds the other's row.
      const { rowCount } = await pool.query(
        `INSERT INTO webhooks_received AS known (id, begun_at) VALUES ($1, now())
         ON CONFLICT (id) DO UPDATE SET begun_at = now()
         WHERE known.done_at IS NULL AND known.begun_at < now() - interval '5 minutes'`,
        [id],
      );
      if (rowCount === 1) return "begun";
      const { rows } = await pool.query("SELECT done_at FROM webhooks_received WHERE id = $1", [id]);
      return rows[0]?.done_at ? "done" : "busy";
    },
    async finish({ id, run, event, revision }) {
      await pool.query(
        `INSERT INTO webhooks_received (id, begun_at, done_at, run, event, revision)
         VALUES ($1, now(), now(), $2, $3, $4)
         ON CONFLICT (id) DO UPDATE SET done_at = now(), run = $2, event = $3, revision = $4`,
        [id, run, event, revision],
      );
    },
    async abandon(id) {
      await pool.query("DELETE FROM webhooks_received WHERE id = $1 AND done_at IS NULL", [id]);
    },
    async find(run, event) {
      const { rows } = await pool.query(
        `SELECT coalesce(bool_or(event = $2), false) AS handled, max(revision) AS latest
         FROM webhooks_received WHERE run = $1 AND done_at IS NOT NULL`,
        [run, event],
      );
      return { handled: rows[0]?.handled === true, lastRevision: rows[0]?.latest ?? null };
    },
  };
}
