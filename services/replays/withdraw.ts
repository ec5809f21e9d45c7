import { eventsOf } from "../../projections/replays/asked.ts";
import type { Delivery } from "../../shared/domain/delivery/delivery.ts";
import type { Replay } from "../../shared/domain/replay/replay.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import { record } from "./record.ts";
import type { ReplayDeps } from "./walk.ts";

/** Takes back what a replay asked for and nobody has attempted since, and ends the replay. What is attempted
 *  already goes its way. */
export async function withdraw({ ledger }: ReplayDeps, stream: string, signal: AbortSignal): Promise<void> {
  const [asked] = await eventsOf(ledger.store, stream, 1);
  const fold = await ledger.find<Replay>(stream);
  if (!asked || !fold) return;
  const workspace = fold.workspace ?? "";
  const replay = wireIdOf(stream);
  let requested = 0;
  for await (const event of ledger.store.readAll(asked.position, { kind: "delivery" })) {
    if (signal.aborted) return;
    if (event.type !== "delivery.requested" || event.data.replay !== replay) continue;
    requested++;
    const delivery = await ledger.find<Delivery>(event.stream);
    const isUntouched = delivery?.events === event.revision + 1 && delivery.state.status === "open";
    if (!isUntouched) continue;
    const proposed = { type: "delivery.cancelled", data: { reason: "replay_cancelled" } };
    const once = { replay: stream, commandId: `withdrawn ${event.id}` };
    const behind = { expected: delivery.events, causationId: asked.id };
    // Refused where somebody began to attempt it just now.
    await record({ ledger }, workspace, event.stream, behind, [{ proposed, once }]);
  }
  const proposed = { type: "replay.cancelled", data: { reason: "cancelled", requested } };
  const once = { replay: stream, commandId: proposed.type, index: fold.events };
  const behind = { expected: fold.events, causationId: asked.id };
  await record({ ledger }, workspace, stream, behind, [{ proposed, once }]);
}
