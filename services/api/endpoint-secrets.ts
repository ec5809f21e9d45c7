import type { EndpointVersion } from "../../shared/domain/endpoint/history.ts";
import type { JsonObject, RecordedEvent } from "../../shared/domain/event.ts";
import { type Caller, type Recorded, Refusal } from "../../shared/ledger/command.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { signingOf } from "../../shared/webhooks/signature.ts";
import { deletionOr } from "./endpoint-changes.ts";
import { type EndpointCommandDeps, readEndpoint } from "./endpoint-commands.ts";
import { commandShape } from "./endpoint-headers.ts";
import {
  activeKeyIds,
  activeKeys,
  checkFamilies,
  isRecorded,
  keeping,
  newKeyId,
  type Signing,
  secretFor,
} from "./endpoint-keys.ts";

export const OVERLAP_MAX_MS = 7 * 86_400_000;
const USUAL_OVERLAP_MS = 86_400_000;
/** How many secrets an endpoint's deliveries are signed with at once, at most. */
const ACTIVE_MAX = 5;

export type Rotation = JsonObject & {
  secret?: string | undefined;
  signing?: Signing | undefined;
  overlapMs?: number | undefined;
};
type RotatingCaller = Caller & { workspace: string; commandId?: string };

/** Decides on top of what was read, and again where somebody was faster. */
async function onTopOf<Made>(
  { ledger }: EndpointCommandDeps,
  { workspace }: RotatingCaller,
  stream: string,
  make: (current: EndpointVersion) => Promise<Made>,
): Promise<Made> {
  for (;;) {
    const current = await readEndpoint(ledger, stream, workspace);
    try {
      return await make(current);
    } catch (error) {
      const overtaken = error instanceof Refusal && error.code === "revision_mismatch";
      if (!overtaken) throw deletionOr(error, stream);
    }
  }
}

/** Gives an endpoint another secret to sign with. Those before it sign too until the overlap ends, all of
 *  them until the same moment. Answers with the secret unless it was recorded before. */
export async function rotateSecret(
  deps: EndpointCommandDeps,
  caller: RotatingCaller,
  stream: string,
  body: Rotation,
): Promise<{ recorded: Recorded; rotated: RecordedEvent; secret: string | null }> {
  const { ledger, secrets, clock } = deps;
  const { overlapMs = USUAL_OVERLAP_MS } = body;
  const shape = await commandShape(secrets, body);
  return onTopOf(deps, caller, stream, async (current) => {
    const usual = await signingOfCurrent(deps, current);
    const { secret, signing } = secretFor(deps.generateSecret, body, usual);
    const nowMs = clock.now();
    // What the vault has lost signs nothing: it would keep everything from being sent until its end.
    const before = overlapMs === 0 ? [] : (await activeKeys(deps, current)).map(({ id }) => id);
    if (current.status !== "deleted" && !(await isRecorded(ledger, stream, caller))) {
      checkFamilies(
        current.policy.headerFamilies,
        signing,
        body.secret === undefined ? "/signing" : "/secret",
      );
      if (before.length >= ACTIVE_MAX)
        throw new Problem("secret_limit", `${ACTIVE_MAX} secrets sign already: end their overlap first.`);
    }
    const keyId = newKeyId();
    const data = {
      secretKeyIds: [keyId, ...before.slice(0, ACTIVE_MAX - 1)],
      ...(before.length === 0 ? {} : { overlapUntil: new Date(nowMs + overlapMs).toISOString() }),
    };
    const command = {
      ...caller,
      ifRevision: current.revision,
      operation: "rotate_secret",
      items: [{ proposed: { type: "endpoint.secret_rotated", data }, shape }],
    };
    const recorded = await keeping(secrets, { [keyId]: secret }, () => ledger.record(stream, command));
    const [rotated] = recorded.events;
    if (!rotated) throw new Error("a rotation recorded nothing");
    return { recorded, rotated, secret: recorded.replayed ? null : secret };
  });
}

/** From now on the current secret alone signs. Where it does already nothing is recorded. */
export async function endSecretOverlap(
  deps: EndpointCommandDeps,
  caller: RotatingCaller,
  stream: string,
): Promise<{ keyId: string; position: bigint; replayed: Recorded["replayed"] }> {
  const { ledger, clock } = deps;
  return onTopOf(deps, caller, stream, async (current) => {
    const [keyId = ""] = current.secretKeyIds;
    const isRotating = activeKeyIds(current, clock.now()).length > 1;
    const isOver = current.status !== "deleted" && !isRotating;
    if (isOver && !(await isRecorded(ledger, stream, caller)))
      return { keyId, position: current.position, replayed: false };
    const recorded = await ledger.record(stream, {
      ...caller,
      ifRevision: current.revision,
      operation: "end_secret_overlap",
      items: [{ proposed: { type: "endpoint.secret_rotated", data: { secretKeyIds: [keyId] } }, shape: {} }],
    });
    const [ended] = recorded.events;
    if (!ended) throw new Error("the end of an overlap recorded nothing");
    const [kept = keyId] = ended.data.secretKeyIds as string[]; // As it was recorded.
    return { keyId: kept, position: ended.position, replayed: recorded.replayed };
  });
}

/** The secrets that sign now, for who may see them. Of a private key nobody ever sees more than its public
 *  one. */
export async function revealSecrets(deps: EndpointCommandDeps, workspace: string, stream: string) {
  const endpoint = await readEndpoint(deps.ledger, stream, workspace);
  if (endpoint.status === "deleted") throw new Problem("not_found", "There is no such endpoint.");
  return activeKeys(deps, endpoint);
}

async function signingOfCurrent(
  { secrets }: Pick<EndpointCommandDeps, "secrets">,
  { secretKeyIds: [keyId = ""] }: EndpointVersion,
): Promise<Signing> {
  const secret = await secrets.find(keyId);
  return secret ? signingOf(secret.toString()) : "v1";
}
