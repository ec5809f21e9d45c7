import { deliveryId } from "../../projections/deliveries/deliveries.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { streamOf } from "../../shared/verification/ids.ts";
import type { Receiver, Told } from "./story.ts";

/** A delivery as the log alone tells it, by a plain reading that shares nothing with what is tested. */
export type Story = {
  id: string;
  receiver: Receiver;
  /** The event that it is of. */
  of: RecordedEvent;
  /** False where its endpoint was disabled then. */
  isOwed: boolean;
  events: RecordedEvent[];
};

const owing = /^run\.(completed|failed|cancelled|errored|awaiting_input)$/;
const turnedOff = new Set(["endpoint.disabled", "endpoint.deleted"]);
const stays = new Set(["endpoint.degraded", "endpoint.recovered"]);

/** Everything that the log owes, and what became of it. */
export function readStories({ world, receivers }: Told): Story[] {
  const { events, ledger } = world.log;
  const isOn = new Map<string, "on" | "off" | "deleted">();
  const stories = new Map<string, Story>();
  for (const event of events) {
    if (event.stream.startsWith("endpoint-") && !stays.has(event.type))
      isOn.set(event.stream, stateAfter(event.type));
    if (owing.test(event.type))
      for (const receiver of receivers) {
        const state = isOn.get(receiver.stream);
        if (state === undefined || state === "deleted") continue;
        const id = deliveryId(ledger, event.meta.workspace ?? "", receiver.stream, event.id);
        stories.set(streamOf(id), { id, receiver, of: event, isOwed: state === "on", events: [] });
      }
    if (event.stream.startsWith("delivery-")) {
      const story = stories.get(event.stream);
      if (!story) throw new Error(`${event.stream} is owed by nothing`);
      story.events.push(event);
    }
  }
  return [...stories.values()];
}

const stateAfter = (type: string) =>
  type === "endpoint.deleted" ? "deleted" : turnedOff.has(type) ? "off" : "on";

/** When an endpoint was turned off, as positions and instants. */
export const turnsOff = ({ world }: Told, { stream }: Receiver): RecordedEvent[] =>
  world.log.events.filter((event) => event.stream === stream && turnedOff.has(event.type));

/** A delivery's attempts in rounds: a new one begins whenever somebody asks for it again. */
export function roundsOf({ events }: Story): RecordedEvent[][] {
  const rounds: RecordedEvent[][] = [[]];
  for (const event of events) {
    if (event.type === "delivery.requested") rounds.push([]);
    rounds.at(-1)?.push(event);
  }
  return rounds;
}

export const msOf = ({ meta }: RecordedEvent): number => Date.parse(meta.recordedAt);

/** What ends a round. */
export const closes = ({ type, data }: RecordedEvent): boolean =>
  type === "delivery.exhausted" || type === "delivery.cancelled" || data.outcome === "delivered";
