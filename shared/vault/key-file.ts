import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { KEY_BYTES } from "./sealed.ts";
import { UnusableVault } from "./vault.ts";

export const KEY_FILE = "vault.key";
/** Where the key that is to take its place waits. */
export const NEXT_KEY_FILE = "vault.key.next";

/** The key in the folder's key file; undefined where there is none. A key that others can read is none. */
export function findKey(folder: string, file = KEY_FILE): Buffer | undefined {
  const path = join(folder, file);
  if (!existsSync(path)) return undefined;
  const mode = statSync(path).mode & 0o777;
  if ((mode & 0o077) !== 0) {
    throw new UnusableVault(
      `${path} is open to others (mode ${mode.toString(8)}): "chmod 600 ${path}", and take the key for known`,
    );
  }
  let text: string;
  try {
    text = readFileSync(path, "utf8").trim();
  } catch (error) {
    throw new UnusableVault(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  if (!/^[0-9a-f]{64}$/i.test(text)) {
    throw new UnusableVault(`${path} does not hold a key of ${KEY_BYTES} bytes as 64 hex digits`);
  }
  return Buffer.from(text, "hex");
}

/** Makes a key file with a new random key. It appears as a whole, durably, and never in the place of another:
 *  who comes second uses the first one's key. */
export function makeKey(folder: string, file = KEY_FILE): Buffer {
  const path = join(folder, file);
  const temporary = `${path}.${randomBytes(6).toString("hex")}`;
  try {
    writeDurably(temporary, `${randomBytes(KEY_BYTES).toString("hex")}\n`);
    linkSync(temporary, path); // Unlike a rename it fails where there is a file.
    syncFolder(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
      throw new UnusableVault(`${path} cannot be made: ${(error as Error).message}`, { cause: error });
    }
  } finally {
    rmSync(temporary, { force: true });
  }
  const key = findKey(folder, file);
  if (!key) throw new UnusableVault(`${path} was removed while it was made`);
  return key;
}

/** The key that waits takes the other's place, durably. */
export function adoptNextKey(folder: string): void {
  renameSync(join(folder, NEXT_KEY_FILE), join(folder, KEY_FILE));
  syncFolder(folder);
}

function writeDurably(path: string, text: string): void {
  const file = openSync(path, "wx", 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** A new name is durable when its folder is. */
function syncFolder(folder: string): void {
  const directory = openSync(folder, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
