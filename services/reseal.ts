import { lockLog } from "../shared/event-store/sqlite-lock.ts";
import { runCommand } from "../shared/platform/command.ts";
import type { Config } from "../shared/platform/config.ts";
import { StartupError } from "../shared/platform/errors.ts";
import { adoptNextKey, findKey, KEY_FILE, makeKey, NEXT_KEY_FILE } from "../shared/vault/key-file.ts";
import { isUnder, resealSqliteVault } from "../shared/vault/sqlite-reseal.ts";
import { openVaultFile } from "../shared/vault/sqlite-vault-file.ts";
import { whileStopped } from "./offline.ts";
import { hasVaultFile } from "./secrets.ts";
import { openPostgresOf } from "./storage.ts";

type Key = Uint8Array;
const NEXT = "RUNLEDGER_SECRETS_KEY_NEXT";

/** `npm run reseal`: seals the vault under another key, that of RUNLEDGER_SECRETS_KEY_NEXT, or else under
 *  that of a new key file. Whatever ends it, running it again goes on with it. */
await runCommand(async ({ config, args, say }) => {
  if (args.length > 0) throw new StartupError(`usage: ${NEXT}=<32 bytes> npm run reseal`);
  // Of a cluster every process may be open: the vault itself keeps those with the old key from writing.
  const isShared = config.eventStoreDb !== undefined && config.postgres !== undefined;
  if (!config.postgres && !hasVaultFile(config))
    throw new StartupError(`there is no vault in ${config.data}`);
  const lock = isShared ? undefined : await whileStopped(config.data, async () => lockLog(config.data));
  try {
    say(await (config.postgres ? resealSchema(config, config.postgres) : resealFile(config)));
    return 0;
  } finally {
    lock?.close();
  }
});

function done(count: number | undefined): string {
  const way = "start with it as RUNLEDGER_SECRETS_KEY";
  return count === undefined
    ? `the secrets were under the key of ${NEXT} already: ${way}`
    : `sealed ${count} secrets under the key of ${NEXT}: ${way}`;
}

async function resealSchema(config: Config, place: NonNullable<Config["postgres"]>): Promise<string> {
  const { data, secretsKey: from, secretsKeyNext: to } = config;
  if (!from || !to) throw new StartupError(`set ${NEXT} to the key that the vault is to be under`);
  // What was carried to PostgreSQL lies in the folder still, and is looked at by every start.
  const own = hasVaultFile(config) ? findKey(data) : undefined;
  if (hasVaultFile(config) && !(own && isUnder(data, own))) resealSqliteVault(data, { from, to });
  const postgres = await openPostgresOf(place);
  try {
    const { resealPostgresVault } = await import("../shared/vault/postgres-reseal.ts");
    return done(await resealPostgresVault(postgres, { from, to }));
  } finally {
    await postgres.close();
  }
}

function resealFile({ data, secretsKey, secretsKeyNext: to }: Config): string {
  const from = secretsKey ?? findKey(data);
  if (to) return done(resealSqliteVault(data, { from: from ?? to, to }));
  if (secretsKey) throw new StartupError(`set ${NEXT} to the key that the vault is to be under`);
  return resealUnderNewFile(data, from);
}

/** The new key is in a file of its own before anything is sealed under it, and takes the old one's place
 *  after everything is. */
function resealUnderNewFile(data: string, from: Key | undefined): string {
  const waiting = findKey(data, NEXT_KEY_FILE);
  if (!waiting) openVaultFile(data, undefined).db.close(); // Of a vault whose key is another nothing is made.
  const to = waiting ?? makeKey(data, NEXT_KEY_FILE);
  const count = resealSqliteVault(data, { from: from ?? to, to });
  adoptNextKey(data);
  const under = `a new key in ${KEY_FILE}`;
  return count === undefined
    ? `the secrets were under ${under} already, which has taken its place now`
    : `sealed ${count} secrets under ${under}: the old one opens backups only`;
}
