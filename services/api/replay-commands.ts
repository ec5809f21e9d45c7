import type { z } from "zod";
import type { EndpointHistory, EndpointVersion } from "../../shared/domain/endpoint/history.ts";
import { createEndpointHistory } from "../../shared/domain/endpoint/history.ts";
import type { JsonObject, RecordedEvent } from "../../shared/domain/event.ts";
import type { ReplayKind } from "../../shared/domain/replay/events.ts";
import { type Caller, type Recorded, Refusal } from "../../shared/ledger/command.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { newId, streamOf, typeid, wireIdOf } from "../../shared/verification/ids.ts";
import { type FromBody, type Range, rangeOf, type UntilBody } from "./replay-range.ts";
import type { Views } from "./views.ts";

export type ReplayCommandDeps = { ledger: Ledger; views: Views; clock: Pick<Clock, "now"> };
type AskingCaller = Caller & { workspace: string; commandId?: string };

export type ReplayAsked = JsonObject & {
  kind: ReplayKind;
  from: z.output<typeof FromBody>;
  until?: z.output<typeof UntilBody>;
  perSecondMax?: number;
};

/** An endpoint with all that it ever was, out of its own stream. */
export async function endpointOf(
  ledger: Ledger,
  stream: string,
  workspace: string,
): Promise<{ endpoints: EndpointHistory; version: EndpointVersion }> {
  const endpoints = createEndpointHistory();
  for (const event of await ledger.history(stream)) endpoints.take(event);
  const version = endpoints.current(stream);
  if (version?.workspace !== workspace) throw new Problem("not_found", "There is no such endpoint.");
  return { endpoints, version };
}

/** Nothing is asked for where nothing would be sent. */
export function requireServed({ status }: EndpointVersion): void {
  if (status === "deleted") throw new Problem("endpoint_deleted", "The endpoint was deleted.");
  if (status === "disabled")
    throw new Problem("endpoint_disabled", "The endpoint is disabled: enable it first.");
}

/** Where it is worked out what a replay is of: the endpoint as it is, and positions for what was said. */
export async function askedRange(
  deps: ReplayCommandDeps,
  workspace: string,
  endpoint: string,
  { from, until }: ReplayAsked,
): Promise<Range & { endpoints: EndpointHistory; version: EndpointVersion }> {
  const { endpoints, version } = await endpointOf(deps.ledger, endpoint, workspace);
  requireServed(version);
  return { endpoints, version, ...(await rangeOf(deps, workspace, from, until)) };
}

/** Records that a replay is asked for; a follower does the rest. */
export async function createReplay(
  deps: ReplayCommandDeps,
  caller: AskingCaller,
  endpoint: string,
  body: ReplayAsked,
): Promise<Recorded> {
  const { ledger } = deps;
  const { workspace, commandId } = caller;
  const endpointId = wireIdOf(endpoint);
  const shape = { endpointId, ...body };
  const known =
    commandId === undefined
      ? undefined
      : streamOf(typeid("replay", ledger.createdBytes("replay", workspace, commandId)));
  const stream = known ?? streamOf(newId("replay"));
  // What was recorded is answered again, whatever the endpoint is by now.
  const before = known === undefined ? [] : await ledger.history(known, 0, 1);
  const data = before[0]?.data ?? (await asked());
  const command = {
    ...caller,
    operation: "create_replay",
    items: [{ proposed: { type: "replay.requested", data }, shape }],
  };
  return ledger.create("replay", command, stream);

  async function asked(): Promise<JsonObject> {
    const { from, until, version } = await askedRange(deps, workspace, endpoint, body);
    const { kind, perSecondMax } = body;
    const endpointRevision = version.revision;
    const asked = { endpoint: endpointId, endpointRevision, kind, from: `${from}`, until: `${until}` };
    return perSecondMax === undefined ? asked : { ...asked, perSecondMax };
  }
}

/** What was recorded of a replay, whatever the views have seen. */
export async function readReplay(
  ledger: Ledger,
  stream: string,
  workspace: string,
): Promise<readonly RecordedEvent[]> {
  const events = await ledger.history(stream);
  if (events[0]?.meta.workspace !== workspace) throw new Problem("not_found", "There is no such replay.");
  return events;
}

/** Asks for a replay's end; a follower takes back what it can. */
export async function cancelReplay(
  { ledger }: Pick<ReplayCommandDeps, "ledger">,
  caller: AskingCaller,
  stream: string,
): Promise<Recorded> {
  const command = {
    ...caller,
    operation: "cancel_replay",
    items: [{ proposed: { type: "replay.cancel_requested", data: {} }, shape: {} }],
  };
  try {
    return await ledger.record(stream, command);
  } catch (error) {
    if (error instanceof Refusal && error.code === "not_found")
      throw new Problem("not_found", "There is no such replay.");
    throw error;
  }
}
