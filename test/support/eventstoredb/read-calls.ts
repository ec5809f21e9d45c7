import type { ReadReq } from "@eventstore/db-client/generated/streams_pb.js";
import type { Failure, ReadCall } from "./protocol.ts";
import type { Stored } from "./stored-streams.ts";

export type Matches = (event: Stored) => boolean;

/** Which events pass the filter that was asked for. */
export function matcher(options: ReadReq.Options): Matches {
  const filter = options.getFilter();
  const onStream = filter?.getStreamIdentifier();
  const expression = onStream ?? filter?.getEventType();
  if (!expression) return () => true;
  const regex = expression.getRegex() === "" ? undefined : new RegExp(expression.getRegex());
  const prefixes = expression.getPrefixList();
  return ({ stream, type }) => {
    const text = onStream ? stream : type;
    return regex ? regex.test(text) : prefixes.some((prefix) => text.startsWith(prefix));
  };
}

/** Whether a filter's pattern can be searched for. */
export function isPattern(filter: ReadReq.Options.FilterOptions | undefined): boolean {
  const expression = filter?.getStreamIdentifier() ?? filter?.getEventType();
  try {
    return new RegExp(expression?.getRegex() ?? "") !== undefined;
  } catch {
    return false;
  }
}

/** Ends a call with a failure, or never where there is none. */
export function end(call: ReadCall, failed: Failure | undefined): void {
  if (failed) call.emit("error", failed);
}

/** Resolves when more may be written, or nothing ever again. */
export function drained(call: ReadCall): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      call.off("drain", go).off("cancelled", go).off("close", go);
      resolve();
    };
    call.on("drain", go).on("cancelled", go).on("close", go);
    if (call.cancelled) go();
  });
}
