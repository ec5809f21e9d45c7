import type { JsonObject } from "../domain/event.ts";
import { canonical, saltedHash } from "../verification/canonical.ts";
import { derivedId, newId, streamOf, wireIdOf } from "../verification/ids.ts";
import type { Command, Refusal } from "./command.ts";
import type { Ledger } from "./ledger.ts";

const A_MINUTE_MS = 60_000;
const PER_MINUTE = 10;
/** What a caller got wrong is not a refusal of the domain. */
const NOT_RECORDED = new Set([
  "not_found",
  "at_in_future",
  "event_too_large",
  "revision_mismatch",
  "invalid_command_id",
  "secret_input_not_yet",
]);

type Refused = Pick<Command, "workspace" | "actor" | "requestId" | "correlationId">;
type Minute = { of: Refused; since: string; sinceMs: number; recorded: number; suppressed: number };

/** Keeps what the domain refused, after the answer, at most ten a minute for each key; of the rest, the
 *  number. What was sent is not kept: `salt` is secret, so that its hash says nothing. */
export function openRefusals(deps: {
  ledger: () => Ledger;
  salt: Uint8Array;
  now: () => number;
  onFault: (error: Error) => void;
}) {
  const minutes = new Map<string, Minute>();
  let writing: Promise<void> = Promise.resolve();

  /** The actor is whoever was refused: that is what an auditor asks for. */
  async function append(caller: Refused, id: string, type: string, data: JsonObject): Promise<void> {
    const ledger = deps.ledger();
    const { workspace, actor, requestId, correlationId } = caller;
    const made = { id: newId("evt"), causationId: null };
    const stream = streamOf(id);
    if (await ledger.find(stream)) return;
    const items = [{ proposed: { type, data }, made }];
    const command = { workspace, actor, requestId, correlationId, operation: "record_refusal", items };
    await ledger.record(stream, command, { isNew: true });
  }

  function close(key: string, minute: Minute): Promise<void> {
    minutes.delete(key);
    if (minute.suppressed === 0) return Promise.resolve();
    const data = { count: minute.suppressed, since: minute.since };
    const caller = { ...minute.of, requestId: null, correlationId: null };
    return append(caller, newId("refusal"), "refusal.suppressed", data);
  }

  async function write(target: string, command: Command, refusal: Refusal): Promise<void> {
    const workspace = command.workspace ?? "";
    const key = `${workspace}/${command.actor.id}`;
    const nowMs = deps.now();
    let minute = minutes.get(key);
    if (minute && nowMs - minute.sinceMs >= A_MINUTE_MS) {
      await close(key, minute);
      minute = undefined;
    }
    const since = new Date(nowMs).toISOString();
    minute ??= { of: command, since, sinceMs: nowMs, recorded: 0, suppressed: 0 };
    minutes.set(key, minute);
    if (minute.recorded >= PER_MINUTE) {
      minute.suppressed++;
      return;
    }
    minute.recorded++;
    const hashed = saltedHash(
      deps.salt,
      canonical([command.operation, target, command.items.map(({ shape }) => shape ?? null)]),
    );
    const commandId = `${command.commandId ?? command.items[0]?.commandId ?? ""} ${hashed}`;
    const scope = `refusals ${target}`;
    const id = derivedId({
      ledger: deps.ledger().id,
      workspace,
      prefix: "refusal",
      scope,
      commandId,
      index: 0,
    });
    const data = { target: wireIdOf(target), operation: command.operation, code: refusal.code };
    await append(command, id, "refusal.recorded", data);
  }

  const enqueue = (work: () => Promise<void>): void => {
    writing = writing.then(work).catch(deps.onFault);
  };

  return {
    note(target: string, command: Command, refusal: Refusal): void {
      if (NOT_RECORDED.has(refusal.code) || command.actor.type === "system") return;
      enqueue(() =>
        new Promise((resolve) => setImmediate(resolve)).then(() => write(target, command, refusal)),
      );
    },
    /** Writes down what was suppressed in minutes that are over; call it now and then. */
    sweep(): Promise<void> {
      for (const [key, minute] of minutes) {
        if (deps.now() - minute.sinceMs >= A_MINUTE_MS) enqueue(() => close(key, minute));
      }
      return writing;
    },
    /** Resolves when everything noted so far is recorded. */
    settled: (): Promise<void> => writing,
    /** Writes down the numbers of the minutes that are still open. */
    async close(): Promise<void> {
      for (const [key, minute] of minutes) enqueue(() => close(key, minute));
      await writing;
    },
  };
}

export type Refusals = ReturnType<typeof openRefusals>;
