import { hash, randomBytes } from "node:crypto";
import { formatKey, parseKey } from "../domain/access/api-key.ts";
import type { EventStore } from "../event-store/event-store.ts";
import { keyIdOf } from "../verification/ids.ts";
import type { Caller } from "./command.ts";
import type { Ledger } from "./ledger.ts";

export const keyStream = (keyId: string): string => `api_key-${keyId}`;
export const workspaceStream = (slug: string): string => `workspace-${slug}`;

/** What the log keeps of a key. */
export const hashSecret = (secret: string): string => hash("sha256", secret, "hex");

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** 256 random bits, as 43 letters and digits. */
export function newSecret(): string {
  let number = BigInt(`0x${randomBytes(32).toString("hex")}`);
  let text = "";
  for (let place = 0; place < 43; place++) {
    text = DIGITS.charAt(Number(number % 62n)) + text;
    number /= 62n;
  }
  return text;
}

/** A key that nobody has had before. */
export const newKeyText = (workspace: string, keyId: string = keyIdOf(randomBytes(16))): string =>
  formatKey(workspace, keyId, newSecret());

export type NewKey = Caller & {
  workspace: string;
  permissions: readonly string[];
  name?: string;
  /** An instant. */
  expiresAt?: string;
  /** A client's id for this creation: the same one always makes the same key id. */
  commandId?: string;
  /** What was asked, as the command hash sees it. */
  shape?: unknown;
  /** A key that somebody has chosen already; it must be one of this workspace. */
  text?: string;
};

/** The key's text is answered once: a replayed creation has null in its place. */
export type CreatedKey = {
  keyId: string;
  key: string | null;
  replayed: boolean | "unverified";
  position: bigint;
};

/** The id of the key that a creation under this command id makes, or has made. */
export const keyIdUnder = (ledger: Ledger, workspace: string, commandId: string): string =>
  keyIdOf(ledger.createdBytes("api_key", workspace, commandId));

/** Records a new API key; its text exists nowhere but in this answer. */
export async function createKey(ledger: Ledger, asked: NewKey): Promise<CreatedKey> {
  const { permissions, name, expiresAt, commandId, shape, text, ...caller } = asked;
  const { workspace } = caller;
  const derived = commandId === undefined ? undefined : keyIdUnder(ledger, workspace, commandId);
  const made = text ?? newKeyText(workspace, derived);
  const parsed = parseKey(made);
  if (parsed?.workspace !== workspace) throw new RangeError(`this is no key of the workspace ${workspace}`);
  const { keyId, secret } = parsed;
  const data = {
    permissions,
    secretHash: hashSecret(secret),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
  const created = { type: "api_key.created", data };
  const proposed = name === undefined ? created : { ...created, content: { name } };
  const command = {
    ...caller,
    operation: "create_key",
    items: [{ proposed, shape }],
    ...(commandId === undefined ? {} : { commandId }),
  };
  const { replayed, events } = await ledger.create("api_key", command, keyStream(keyId));
  return { keyId, key: replayed === false ? made : null, replayed, position: events[0]?.position ?? 0n };
}

/** Records a workspace by its slug, unless it is there. */
export async function ensureWorkspace(ledger: Ledger, caller: Caller & { workspace: string }): Promise<void> {
  const stream = workspaceStream(caller.workspace);
  if (await ledger.find(stream)) return;
  const items = [{ proposed: { type: "workspace.created", data: {} } }];
  await ledger.create("workspace", { ...caller, operation: "create_workspace", items }, stream);
}

/** Whether any key was ever made. */
export async function hasKeys(store: Pick<EventStore, "readAll">): Promise<boolean> {
  for await (const _ of store.readAll(0n, { kind: "api_key", limit: 1 })) return true;
  return false;
}
