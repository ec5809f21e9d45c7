import { newKeyText } from "../../shared/ledger/keys.ts";
import { variablesFor } from "./cell.ts";
import { type SpawnedServer, spawnServer } from "./spawn-server.ts";
import { temporaryFolder } from "./temporary-folder.ts";

type Options = {
  /** Each process by a name of its own, and what it does. */
  processes: Readonly<Record<string, string>>;
  kafka?: boolean;
  env?: Readonly<Record<string, string>>;
};

/** Many processes of one ledger on EventStoreDB and PostgreSQL, and on Kafka where it is asked for. */
export async function spawnCluster<Name extends string>({ processes, kafka = false, env = {} }: Options) {
  const folder = temporaryFolder();
  const key = newKeyText("default");
  const variables = await variablesFor(folder, { eventStoreDb: true, postgres: true, kafka });
  const start = (role: string): Promise<SpawnedServer> =>
    spawnServer({ folder, key, role, env: { ...variables, ...env } });
  const entries = await Promise.all(
    Object.entries(processes).map(async ([name, role]): Promise<[string, SpawnedServer]> => {
      return [name, await start(role)];
    }),
  );
  // Every name that was asked for was started.
  return { folder, key, variables, start, ...(Object.fromEntries(entries) as Record<Name, SpawnedServer>) };
}
