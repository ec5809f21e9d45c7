import { openTurns } from "./turns.ts";
import { DamagedVault, SecretTaken } from "./vault.ts";

/** An entry to be kept where its name is free. */
export type Put = { name: string; secret: Uint8Array };

type Asked = Put & { resolve(kept: Buffer): void; reject(error: unknown): void };

/** Keeps what is put in one turn in one step, and answers each with what is there then. */
export function openPutQueue(deps: {
  /** Keeps all of these or none; each name once. Answers with what the names have by now. */
  keep(puts: readonly Put[]): Promise<ReadonlyMap<string, Buffer>>;
}) {
  async function settle(batch: readonly Asked[]): Promise<void> {
    // Of two under one name the first is kept.
    const puts = new Map<string, Put>();
    for (const asked of batch) if (!puts.has(asked.name)) puts.set(asked.name, asked);
    try {
      const kept = await deps.keep([...puts.values()]);
      for (const { name, resolve, reject } of batch) {
        const secret = kept.get(name);
        if (secret) resolve(secret);
        else reject(new DamagedVault(`${name} was removed while it was kept`));
      }
    } catch (error) {
      // One that is damaged, or finds no room, is no reason to refuse the others.
      if (batch.length > 1) for (const asked of batch) await settle([asked]);
      else for (const { reject } of batch) reject(error);
    }
  }
  const turns = openTurns<Asked>(settle);

  return {
    /** What is kept under the name once it is durable. */
    keep: (name: string, secret: Uint8Array): Promise<Buffer> =>
      new Promise((resolve, reject) => {
        turns.ask({ name, secret: Buffer.from(secret), resolve, reject });
      }),
    idle: turns.idle,
  };
}

/** Throws SecretTaken where another secret was kept under this id. */
export function checkKept(id: string, kept: Uint8Array, secret: Uint8Array): void {
  if (Buffer.compare(kept, secret) !== 0) throw new SecretTaken(id);
}

/** A secret can have any id, a vault's own entries none of these names. */
export const secretName = (id: string): string => `secret/${id}`;
export const ownName = (name: string): string => `own/${name}`;
export const bytesOf = (secret: Uint8Array | string): Uint8Array =>
  typeof secret === "string" ? Buffer.from(secret) : secret;
