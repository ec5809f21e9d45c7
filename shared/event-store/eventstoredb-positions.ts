import { randomUUID } from "node:crypto";
import type { EventData } from "@eventstore/db-client";
import { streamOf, typeid } from "../verification/ids.ts";
import type { Connection } from "./eventstoredb-client.ts";
import { besideIn, type Log, type OurEvent, ours, type ServerEvent } from "./eventstoredb-events.ts";
import { isWrongRevision } from "./eventstoredb-failures.ts";
import { type Pages, streamPage, untilAnswered } from "./eventstoredb-pages.ts";
import type { FormerPosition } from "./moved-event.ts";

/** An event's position now, and those that it had before it was moved. */
export type PositionEntry = { now: bigint; was: readonly FormerPosition[] };

/** Like the marker's, this name is that of no stream of the log. */
const positionsStream = (prefix: string): string => `${prefix}positions`;

const ownIn = (was: readonly FormerPosition[] | undefined, epoch: bigint): bigint | undefined =>
  was?.find((each) => each.epoch === epoch)?.own;

function entryIn({ data }: ServerEvent): PositionEntry {
  const { now, was } = data as { now: string; was: [number, string][] }; // Only a move writes there.
  return { now: BigInt(now), was: was.map(([epoch, own]) => ({ epoch: BigInt(epoch), own: BigInt(own) })) };
}

/** A stream that says of every so many events where they were and where they are. It leads near to any other
 *  event, whose metadata tells the rest. */
export function openPositions(connection: Connection, log: Pick<Log, "ledger" | "prefix">) {
  const stream = positionsStream(log.prefix);

  async function at(revision: bigint): Promise<PositionEntry | undefined> {
    const { events } = await streamPage(connection, stream, { from: revision, count: 1 });
    return events[0] && entryIn(events[0]);
  }

  async function lastRevision(): Promise<bigint | undefined> {
    const { events } = await streamPage(connection, stream, { from: "end", count: 1, backwards: true });
    return events[0]?.revision;
  }

  /** The log's first event, which every move into it brought along. */
  async function first(): Promise<OurEvent | undefined> {
    const name = streamOf(typeid("ledger", Buffer.from(log.ledger, "hex")));
    const { events } = await streamPage(connection, `${log.prefix}${name}`, { from: 0n, count: 1 });
    return ours(log, events[0]);
  }

  /** Where the last event is that has an entry and was at or before an own position. */
  async function near(epoch: bigint, own: bigint): Promise<bigint | undefined> {
    let found: bigint | undefined;
    for (let [low, high] = [0n, (await lastRevision()) ?? -1n]; low <= high; ) {
      const middle = (low + high) / 2n;
      const entry = await at(middle);
      const its = ownIn(entry?.was, epoch);
      // Where there is none the event is younger than that epoch.
      if (entry && its !== undefined && its <= own) [found, low] = [entry.now, middle + 1n];
      else high = middle - 1n;
    }
    return found;
  }

  return {
    /** Adds an entry, once, whatever becomes of the answers. */
    async note({ now, was }: PositionEntry): Promise<void> {
      const data = { now: `${now}`, was: was.map(({ epoch, own }) => [Number(epoch), `${own}`]) };
      const event: EventData = {
        id: randomUUID(),
        contentType: "application/json",
        type: "log.position",
        data,
        metadata: undefined,
      };
      await untilAnswered(async () => {
        const last = await lastRevision();
        if (last !== undefined && (await at(last))?.now === now) return;
        try {
          await connection.append(stream, last === undefined ? 0 : Number(last) + 1, [event]);
        } catch (error) {
          if (!isWrongRevision(error)) throw error;
        }
      });
    },

    /** The own position now of the event that had this one until an epoch, or of the last one before it;
     *  undefined where no move has changed positions then. */
    async renumbered(pages: Pages, epoch: bigint, own: bigint): Promise<bigint | undefined> {
      const beginning = await first();
      if (!beginning || ownIn(besideIn(beginning).was, epoch) === undefined) return undefined;
      let found = (await near(epoch, own)) ?? beginning.own;
      for await (const page of pages.scan(found, await pages.end(), Number.POSITIVE_INFINITY)) {
        for (const event of page) {
          const its = ownIn(besideIn(event).was, epoch);
          if (its === undefined || its > own) return found;
          found = event.own;
        }
      }
      return found;
    },
  };
}
