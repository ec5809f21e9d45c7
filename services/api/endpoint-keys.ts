import { randomBytes } from "node:crypto";
import type { EndpointVersion } from "../../shared/domain/endpoint/history.ts";
import { invalidMember } from "../../shared/intake/invalid.ts";
import { type Caller, type Recorded, Refusal } from "../../shared/ledger/command.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import type { Vault } from "../../shared/vault/vault.ts";
import { derivedId, keyIdOf } from "../../shared/verification/ids.ts";
import { InvalidSecret, parseSecret, publicKeyOf, signingOf } from "../../shared/webhooks/signature.ts";

export type Signing = ReturnType<typeof signingOf>;

/** Where secrets are kept: in the vault, before the log names their keys. */
export type Secrets = Pick<Vault, "put" | "find" | "findAll" | "remove" | "secretOf">;
export type KeyDeps = { secrets: Pick<Secrets, "findAll">; clock: Pick<Clock, "now"> };

export const newKeyId = (): string => `key_${keyIdOf(randomBytes(16))}`;

type Signer = Pick<EndpointVersion, "status" | "secretKeyIds" | "overlapUntil">;

/** The keys that sign an endpoint's deliveries, the current one first. */
export function activeKeyIds({ status, secretKeyIds, overlapUntil }: Signer, nowMs: number): string[] {
  if (status === "deleted") return [];
  const isRotating = overlapUntil !== null && Date.parse(overlapUntil) > nowMs;
  return isRotating ? [...secretKeyIds] : secretKeyIds.slice(0, 1);
}

/** A key with its secret. */
export type ActiveKey = { id: string; signing: Signing; secret: string; until: string | null };

/** The keys of an endpoint that sign now, as far as the vault has them. */
export async function activeKeys({ secrets, clock }: KeyDeps, endpoint: Signer): Promise<ActiveKey[]> {
  const nowMs = clock.now();
  return activeAmong(await secrets.findAll(activeKeyIds(endpoint, nowMs)), endpoint, nowMs);
}

/** The same, of secrets that were found already. */
export function activeAmong(
  found: ReadonlyMap<string, Buffer>,
  endpoint: Signer,
  nowMs: number,
): ActiveKey[] {
  return activeKeyIds(endpoint, nowMs).flatMap((id, index) => {
    const secret = found.get(id)?.toString();
    if (secret === undefined) return [];
    return [{ id, signing: signingOf(secret), secret, until: index === 0 ? null : endpoint.overlapUntil }];
  });
}

/** What anybody may know of them who may read the endpoint. */
export const shownKeys = async (deps: KeyDeps, endpoint: Signer) =>
  (await activeKeys(deps, endpoint)).map(({ id, signing, secret, until }) => ({
    id,
    signing,
    publicKey: publicKeyOf(secret),
    until,
  }));

/** The secret that somebody brings, or else one that is made. */
export function secretFor(
  generate: (signing: Signing) => string,
  asked: { secret?: string | undefined; signing?: Signing | undefined },
  usual: Signing,
): { secret: string; signing: Signing } {
  if (asked.secret === undefined) {
    const signing = asked.signing ?? usual;
    return { secret: generate(signing), signing };
  }
  try {
    const { secret, signing } = parseSecret(asked.secret);
    if (asked.signing !== undefined && asked.signing !== signing)
      throw invalidMember("/signing", `is ${asked.signing}, and the secret is one of ${signing}`);
    return { secret, signing };
  } catch (error) {
    if (error instanceof InvalidSecret) throw invalidMember("/secret", error.message);
    throw error;
  }
}

/** Knock's signature is made with a shared secret, and one alone: an endpoint without one cannot have it. */
export function checkFamilies(families: readonly string[] | undefined, signing: Signing, pointer: string) {
  if (signing === "v1a" && families?.includes("knock"))
    throw invalidMember(pointer, "knock's signature needs a shared secret, and v1a has none");
}

/** Keeps secrets, then records what names their keys. Where nothing came to name them they are taken away
 *  again; where the outcome is unknown something might, so they stay. */
export async function keeping<Made extends { replayed: Recorded["replayed"] }>(
  secrets: Secrets,
  kept: Readonly<Record<string, string>>,
  record: () => Promise<Made>,
): Promise<Made> {
  for (const [id, secret] of Object.entries(kept)) await secrets.put(id, secret);
  const forget = async () => {
    for (const id of Object.keys(kept)) await secrets.remove(id);
  };
  try {
    const made = await record();
    if (made.replayed) await forget();
    return made;
  } catch (error) {
    if (error instanceof Refusal) await forget();
    throw error;
  }
}

/** Whether a stream has what was recorded under this command id: then it is answered again, whatever would be
 *  said to it now. */
export async function isRecorded(
  ledger: Ledger,
  stream: string,
  { workspace, commandId }: Caller & { commandId?: string },
): Promise<boolean> {
  if (commandId === undefined) return false;
  const place = { ledger: ledger.id, workspace: workspace ?? "", scope: stream };
  const fold = await ledger.find(stream);
  return fold?.ids.has(derivedId({ ...place, prefix: "evt", commandId, index: 0 })) ?? false;
}
