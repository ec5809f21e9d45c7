import { existsSync, openSync, readFileSync, truncateSync, writeSync } from "node:fs";
import { idOf, nameOf, streams } from "./protocol.ts";
import type { Stored } from "./stored-streams.ts";

const LENGTH_BYTES = 4;

/** What is stored, in a file, one append after the other: its length, and then each event with its length. An
 *  append whose end is missing was cut off, and was answered to nobody. */
export function openStoredFile(path: string) {
  let fd: number | undefined;

  return {
    *read(): Generator<Stored> {
      const bytes = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
      let at = 0;
      while (at + LENGTH_BYTES <= bytes.byteLength) {
        const end = at + LENGTH_BYTES + bytes.readUInt32BE(at);
        if (end > bytes.byteLength) break;
        yield* eventsIn(bytes.subarray(at + LENGTH_BYTES, end));
        at = end;
      }
      if (at < bytes.byteLength) truncateSync(path, at);
    },

    keep(events: readonly Stored[]): void {
      fd ??= openSync(path, "a");
      const append = Buffer.concat(events.map(({ bytes }) => sized(bytes)));
      writeSync(fd, sized(append));
    },
  };
}

function sized(bytes: Buffer): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(bytes.byteLength);
  return Buffer.concat([length, bytes]);
}

function* eventsIn(append: Buffer): Generator<Stored> {
  for (let at = 0; at < append.byteLength; ) {
    const end = at + LENGTH_BYTES + append.readUInt32BE(at);
    const bytes = append.subarray(at + LENGTH_BYTES, end);
    const event = streams.ReadResp.deserializeBinary(bytes).getEvent()?.getEvent();
    if (!event) throw new Error("the file has something else than events");
    yield {
      id: idOf(event.getId()),
      stream: nameOf(event.getStreamIdentifier()),
      type: event.getMetadataMap().get("type") ?? "",
      revision: Number(event.getStreamRevision()),
      position: Number(event.getCommitPosition()),
      bytes,
    };
    at = end;
  }
}
