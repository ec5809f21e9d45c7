import type { EventStore } from "../event-store/event-store.ts";
import type { Command } from "./command.ts";
import type { Fold } from "./fold.ts";
import { eventIdOf, isSame } from "./identity.ts";
import type { Ground, Known } from "./plan.ts";

/** Reads the events behind the ids that a stream knows already, and tells for each item whether it stands for
 *  the same command. What is found stays true: an event never changes, but for the erasure of its content. */
export async function compare(
  store: EventStore,
  ground: Ground,
  fold: Fold,
  command: Command,
): Promise<Map<number, Known>> {
  const known = new Map<number, Known>();
  for (const index of command.items.keys()) {
    const id = eventIdOf(ground, command, index);
    const revision = id === undefined ? undefined : fold.ids.get(id);
    if (revision === undefined) continue;
    for await (const event of store.read(ground.stream, revision)) {
      known.set(index, { event, same: isSame(ground, command, index, event) });
      break;
    }
  }
  return known;
}
