import { parseArgs } from "node:util";
import { WorkspaceSlug } from "../shared/domain/access/workspace.ts";
import { createKey, ensureWorkspace, workspaceStream } from "../shared/ledger/keys.ts";
import { runCommand } from "../shared/platform/command.ts";
import { StartupError } from "../shared/platform/errors.ts";
import { permissions } from "./api/permissions.ts";
import { checkLog } from "./kept.ts";
import { openOffline } from "./offline.ts";

/** `npm run key`: a new key with every permission, for who has lost the last one. */
await runCommand(async ({ config, args, say, note }) => {
  const workspace = workspaceIn(args);
  const offline = await openOffline(config);
  const { ledger, store, vault, close } = offline;
  try {
    await checkLog(offline, config);
    const caller = {
      workspace,
      actor: { type: "system", id: "key" },
      requestId: null,
      correlationId: null,
    } as const;
    if (workspace === "default") await ensureWorkspace(ledger, caller);
    else if (!(await ledger.find(workspaceStream(workspace))))
      throw new StartupError(`there is no workspace ${workspace}`);
    const { key } = await createKey(ledger, { ...caller, permissions });
    const head = await store.at(await store.head());
    if (head) await vault.keepHead(head.position, head.leaf);
    note(`a key with every permission in the workspace ${workspace}, shown only now:`);
    say(String(key));
    return 0;
  } finally {
    await close();
  }
});

function workspaceIn(args: string[]): string {
  const options = { workspace: { type: "string", default: "default" } } as const;
  const usage = "usage: npm run key -- --workspace <workspace: 1-32 of a-z 0-9 ->";
  let workspace: string;
  try {
    ({ workspace } = parseArgs({ args, options }).values);
  } catch (error) {
    throw new StartupError(usage, { cause: error });
  }
  if (!WorkspaceSlug.safeParse(workspace).success) throw new StartupError(usage);
  return workspace;
}
