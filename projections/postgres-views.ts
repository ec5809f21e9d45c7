import { migrate } from "../shared/postgres/migrations.ts";
import type { Postgres } from "../shared/postgres/postgres.ts";

const steps = [
  `CREATE TABLE checkpoints (
    name text COLLATE "C" NOT NULL,
    version integer NOT NULL,
    state text NOT NULL,
    position bigint NOT NULL,
    "leafHash" bytea NOT NULL,
    "eventsSeen" bigint NOT NULL,
    digest bytea NOT NULL,
    "clockMs" bigint NOT NULL,
    PRIMARY KEY (name, version)
  ) WITH (fillfactor = 50);
  CREATE TABLE degraded (
    name text COLLATE "C" NOT NULL,
    version integer NOT NULL,
    id text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (name, version, id)
  )`,
];

/** Brings the tables beside the views' own to what this program needs. */
export const migrateViews = (postgres: Postgres): Promise<void> =>
  migrate(postgres, { room: "views", steps });

/** Where whoever projects tells of every commit. */
export const viewsChannel = (schema: string): string => `${schema}_views`;
