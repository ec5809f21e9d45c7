import * as apiKey from "../domain/access/api-key.ts";
import type { ApiKeyEvent, WorkspaceEvent } from "../domain/access/events.ts";
import * as workspace from "../domain/access/workspace.ts";
import * as delivery from "../domain/delivery/delivery.ts";
import type { DeliveryEvent } from "../domain/delivery/events.ts";
import * as endpoint from "../domain/endpoint/endpoint.ts";
import type { EndpointEvent } from "../domain/endpoint/events.ts";
import type { Proposed } from "../domain/event.ts";
import type { ReplayEvent } from "../domain/replay/events.ts";
import * as replay from "../domain/replay/replay.ts";
import type { RunEvent } from "../domain/run/events.ts";
import { decide, evolve, type Run, unknownRun } from "../domain/run/run.ts";
import { newId } from "../verification/ids.ts";
import { type Aggregate, recordedOnce, recordedOnly } from "./fold.ts";

/** Types are checked at the doors and by the domain's own tests: from here on a proposal is of its stream's
 *  kind. */
function aggregate<State, Event extends Proposed>(kind: {
  initial: State;
  decide(
    state: State,
    proposed: Event,
    by: Parameters<Aggregate["decide"]>[2],
  ): ReturnType<Aggregate["decide"]>;
  evolve(state: State, event: Event & { at: string }): State;
}): Aggregate {
  return kind as unknown as Aggregate;
}

/** The ledger makes the id of every wait. */
function withWaitId(proposed: RunEvent): RunEvent {
  if (proposed.type !== "run.awaiting_input" && proposed.type !== "run.awaiting_approval") return proposed;
  return { ...proposed, data: { ...proposed.data, waitId: newId("wait") } } as RunEvent;
}

/** What each kind of stream is folded into. */
export const aggregates: Readonly<Record<string, Aggregate>> = {
  ledger: recordedOnly,
  refusal: recordedOnce as Aggregate,
  workspace: aggregate<workspace.Workspace, WorkspaceEvent>({
    initial: workspace.unknownWorkspace,
    ...workspace,
  }),
  api_key: aggregate<apiKey.ApiKey, ApiKeyEvent>({ initial: apiKey.unknownKey, ...apiKey }),
  endpoint: aggregate<endpoint.Endpoint, EndpointEvent>({ initial: endpoint.unknownEndpoint, ...endpoint }),
  delivery: aggregate<delivery.Delivery, DeliveryEvent>({ initial: delivery.unknownDelivery, ...delivery }),
  replay: aggregate<replay.Replay, ReplayEvent>({ initial: replay.unknownReplay, ...replay }),
  run: aggregate<Run, RunEvent>({
    initial: unknownRun,
    decide: (run, proposed, by) => decide(run, withWaitId(proposed), by),
    evolve,
  }),
};
