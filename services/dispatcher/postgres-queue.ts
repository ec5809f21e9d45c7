import { migrate } from "../../shared/postgres/migrations.ts";
import type { Postgres } from "../../shared/postgres/postgres.ts";

const steps = [
  // What is open beside its rows follows from the log: losing this table loses no delivery.
  `CREATE TABLE dispatch_queue (
    delivery text COLLATE "C" PRIMARY KEY,
    holder text NOT NULL,
    until timestamptz NOT NULL
  )`,
];

type Found = { delivery: string };

/** The dispatch queue: deliveries that somebody attempts, until when that is theirs on the server's clock,
 *  and those that were attempted and will be again. Dispatchers pass each other: nobody waits for a row that
 *  another is at. */
export async function openQueueTable(
  postgres: Postgres,
  { leaseMs, holder }: { leaseMs: number; holder: string },
) {
  await migrate(postgres, { room: "dispatcher", steps });
  const later = `clock_timestamp() + ${Math.floor(leaseMs)} * interval '1 millisecond'`;
  const own = "SELECT delivery FROM dispatch_queue WHERE delivery = ANY($1::text[]) AND holder = $2";
  const asked = async (text: string, parameters: readonly (string | readonly string[])[], name: string) =>
    new Set((await postgres.query<Found>(text, parameters, name)).map(({ delivery }) => delivery));

  return {
    /** Those of these that are this process's from now on: nobody had them, or whoever did says nothing more.
     *  New ones are made in the order of their names, so that two processes wait for each other in one. */
    claim: (deliveries: readonly string[]): Promise<ReadonlySet<string>> =>
      asked(
        `WITH free AS (
          SELECT delivery FROM dispatch_queue
          WHERE delivery = ANY($1::text[]) AND until <= clock_timestamp() FOR UPDATE SKIP LOCKED
        ), taken AS (
          UPDATE dispatch_queue SET holder = $2, until = ${later}
          WHERE delivery IN (SELECT delivery FROM free) RETURNING delivery
        ), made AS (
          INSERT INTO dispatch_queue
          SELECT delivery, $2, ${later} FROM unnest($1::text[]) AS asked (delivery)
          WHERE NOT EXISTS (SELECT FROM dispatch_queue AS known WHERE known.delivery = asked.delivery)
          ORDER BY delivery COLLATE "C"
          ON CONFLICT DO NOTHING RETURNING delivery
        )
        SELECT delivery FROM taken UNION ALL SELECT delivery FROM made`,
        [deliveries, holder],
        "dispatch_queue_claim",
      ),

    /** Those of these that are still this process's. */
    renew: (deliveries: readonly string[]): Promise<ReadonlySet<string>> =>
      asked(
        `UPDATE dispatch_queue SET until = ${later}
         WHERE delivery IN (${own} FOR UPDATE SKIP LOCKED) RETURNING delivery`,
        [deliveries, holder],
        "dispatch_queue_renew",
      ),

    /** What is to be attempted again stays in the queue, for whoever takes it first. */
    async release(released: readonly (readonly [delivery: string, isOpen: boolean])[]): Promise<void> {
      const open = released.flatMap(([delivery, isOpen]) => (isOpen ? [delivery] : []));
      const ended = released.flatMap(([delivery, isOpen]) => (isOpen ? [] : [delivery]));
      await asked(
        `WITH ended AS (
          DELETE FROM dispatch_queue WHERE delivery IN (${own} FOR UPDATE SKIP LOCKED)
        )
        UPDATE dispatch_queue SET until = clock_timestamp()
        WHERE delivery IN (${own.replace("$1", "$3")} FOR UPDATE SKIP LOCKED) RETURNING delivery`,
        [ended, holder, open],
        "dispatch_queue_release",
      );
    },

    /** Forgets what nobody came back for: its endpoint was deleted, or its content erased. */
    async sweep(): Promise<void> {
      await postgres.query(
        `DELETE FROM dispatch_queue WHERE delivery IN (
          SELECT delivery FROM dispatch_queue WHERE until < clock_timestamp() - interval '1 day'
          LIMIT 10000 FOR UPDATE SKIP LOCKED
        )`,
      );
    },
  };
}
