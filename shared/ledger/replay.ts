import type { EventStore } from "../event-store/event-store.ts";
import { commandHash } from "../verification/canonical.ts";
import type { Command } from "./command.ts";
import type { Fold } from "./fold.ts";
import { commandShape, eventIdOf, type Ground, type Known, shapeOf } from "./plan.ts";

/** Reads the events behind the ids that a stream knows already, and tells whether each stands for the same command. What
 *  is found stays true: an event never changes, but for the erasure of its content, after which nobody can compare. */
export async function compare(
  store: EventStore,
  ground: Ground,
  fold: Fold,
  command: Command,
): Promise<Map<string, Known>> {
  const known = new Map<string, Known>();
  for (const [index, item] of command.items.entries()) {
    const id = eventIdOf(ground, command, item, index);
    const revision = id === undefined ? undefined : fold.ids.get(id);
    if (id === undefined || revision === undefined) continue;
    for await (const event of store.read(ground.stream, revision)) {
      known.set(id, { event, same: item.made !== undefined || isSame(ground, command, index, event) });
      break;
    }
  }
  return known;
}

function isSame(ground: Ground, command: Command, index: number, event: Known["event"]): Known["same"] {
  const item = command.items[index];
  const { commandHash: recorded, contentHash, contentSalt, dataSalt } = event.meta;
  if (!item || recorded === null) return false;
  if (contentHash !== null && contentSalt === undefined) return "unverified";
  const shape = commandShape(ground, command, item, shapeOf(command, index));
  return commandHash(contentSalt ?? dataSalt, shape) === recorded;
}
