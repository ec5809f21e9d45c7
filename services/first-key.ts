import { parseKey } from "../shared/domain/access/api-key.ts";
import { createKey, ensureWorkspace, hasKeys, newKeyText } from "../shared/ledger/keys.ts";
import type { Ledger } from "../shared/ledger/ledger.ts";
import type { Config } from "../shared/platform/config.ts";
import { permissions } from "./api/permissions.ts";

const WORKSPACE = "default";

/** On a ledger that has no keys, makes one that may do everything: the configured one, or a new one that is
 *  said once. */
export async function firstKey(deps: {
  ledger: Ledger;
  config: Config;
  say(line: string): void;
}): Promise<void> {
  const { ledger, config, say } = deps;
  const given = config.firstKey;
  if (await hasKeys(ledger.store)) {
    if (given !== undefined) say("RUNLEDGER_FIRST_KEY is ignored: this ledger has keys");
    return;
  }
  const workspace = (given !== undefined && parseKey(given)?.workspace) || WORKSPACE;
  const caller = {
    workspace,
    actor: { type: "system", id: "start" } as const,
    requestId: null,
    correlationId: null,
  };
  await ensureWorkspace(ledger, caller);
  const text = given ?? newKeyText(workspace);
  await createKey(ledger, { ...caller, permissions, name: "first key", text });
  if (given === undefined) say(`first API key, shown once: ${text}`);
}
