import type { RecordedEvent } from "../domain/event.ts";
import { type CommandShape, commandHash } from "../verification/canonical.ts";
import { derivedBytes, derivedId, newId, type Prefix, streamOf, typeid } from "../verification/ids.ts";
import type { Command } from "./command.ts";

/** Where a command acts: what its ids are derived from. */
export type Place = {
  ledger: string;
  stream: string;
  /** Whether the command makes the stream. */
  isNew: boolean;
};

/** What an item's id is derived from: its own id stands alone, an array's id counts its items. */
function identityOf(command: Command, index: number) {
  const own = command.items[index]?.commandId;
  return own === undefined
    ? { commandId: command.commandId, index, count: command.items.length }
    : { commandId: own, index: 0, count: 1 };
}

/** Where derived ids are made: the stream, for a creation `new <kind>`. */
const scopeOf = ({ stream, isNew }: Place): string =>
  isNew ? `new ${stream.slice(0, stream.indexOf("-"))}` : stream;

/** The id that an item's event has by itself; undefined where a new one is made. */
export function eventIdOf(place: Place, command: Command, at: number): string | undefined {
  const made = command.items[at]?.made;
  if (made) return made.id;
  const { commandId, index } = identityOf(command, at);
  if (commandId === undefined) return undefined;
  const workspace = command.workspace ?? "";
  return derivedId({
    ledger: place.ledger,
    workspace,
    prefix: "evt",
    scope: scopeOf(place),
    commandId,
    index,
  });
}

/** What an item's command id stands for; undefined where it has none, or where no item of a body stands for
 *  the event. */
export function commandShape(place: Place, command: Command, at: number): CommandShape | undefined {
  const item = command.items[at];
  const { commandId, index, count } = identityOf(command, at);
  if (!item || item.made || commandId === undefined) return undefined;
  return { operation: command.operation, target: scopeOf(place), item: item.shape ?? null, index, count };
}

/** Whether an item stands for the same command as the event that has its id; where content was erased nobody
 *  can tell. */
export function isSame(
  place: Place,
  command: Command,
  at: number,
  { meta }: RecordedEvent,
): boolean | "unverified" {
  if (command.items[at]?.made) return true;
  const shape = commandShape(place, command, at);
  if (!shape || meta.commandHash === null) return false;
  if (meta.contentHash !== null && meta.contentSalt === undefined) return "unverified";
  return commandHash(meta.contentSalt ?? meta.dataSalt, shape) === meta.commandHash;
}

/** The 16 bytes behind the id that a creation under this command id makes. */
export function createdBytes(
  ledger: string,
  prefix: Prefix,
  workspace: string | null,
  commandId: string,
): Buffer {
  const scope = `new ${prefix}`;
  return derivedBytes({ ledger, workspace: workspace ?? "", prefix, scope, commandId, index: 0 });
}

/** The stream that a creation makes: under a command id always the same one, else a new one. */
export function newStream(ledger: string, prefix: Prefix, command: Command): string {
  const id = command.commandId ?? command.items[0]?.commandId;
  return streamOf(
    id === undefined ? newId(prefix) : typeid(prefix, createdBytes(ledger, prefix, command.workspace, id)),
  );
}
