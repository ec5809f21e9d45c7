import type { ReadReq } from "@eventstore/db-client/generated/streams_pb.js";
import type { Counts } from "./control.ts";
import { failureFor, type OpenFaults } from "./faults.ts";
import { type Failure, failure, grpc, nameOf, type ReadCall, shared, streams } from "./protocol.ts";
import { drained, end, isPattern, type Matches, matcher } from "./read-calls.ts";
import type { Stored, StoredStreams } from "./stored-streams.ts";
import type { Subscriptions } from "./subscribing.ts";

type Deps = { store: StoredStreams; faults: OpenFaults; counts: Counts; subscriptions: Subscriptions };

/** `Read`: a stream or `$all`, forwards or backwards, or a subscription to either. */
export function reading(deps: Deps) {
  const { store, faults, counts, subscriptions } = deps;
  return (call: ReadCall) => {
    const options = call.request.getOptions();
    if (!options) return end(call, failure(grpc.status.INVALID_ARGUMENT, "nothing is asked for"));
    counts[options.hasSubscription() ? "subscriptions" : "reads"]++;
    const requiresLeader = call.metadata.get("requires-leader")[0] === "true";
    const refused = faults.refused({ requiresLeader });
    if (refused) return end(call, refused);
    const failing = options.hasSubscription() ? undefined : faults.beforeRead();
    if (failing) return end(call, failureFor(failing));
    if (!isPattern(options.getFilter()))
      return end(call, failure(grpc.status.INVALID_ARGUMENT, "no pattern"));
    const all = options.getAll();
    if (all && isNowhere(store, all)) return end(call, nowhere());
    if (options.hasSubscription()) return subscriptions.open(call, options);
    const found = all ? fromAll(store, all, options) : fromStream(store, options);
    if (!found) call.write(notFound(nameOf(options.getStream()?.getStreamIdentifier())));
    void send(call, found ?? []);
  };
}

async function send(call: ReadCall, events: Iterable<Stored>): Promise<void> {
  for (const { bytes } of events) {
    if (call.cancelled) return;
    if (!call.write(bytes)) await drained(call);
  }
  call.end();
}

const isBackwards = (options: ReadReq.Options): boolean =>
  options.getReadDirection() === streams.ReadReq.Options.ReadDirection.BACKWARDS;

/** From a revision on, that one included, in either direction. */
function fromStream(store: StoredStreams, options: ReadReq.Options): Iterable<Stored> | undefined {
  const asked = options.getStream();
  const events = store.streamOf(nameOf(asked?.getStreamIdentifier()));
  if (events.length === 0) return undefined;
  const last = events.length - 1;
  const from = asked?.hasRevision() ? Number(asked.getRevision()) : asked?.hasEnd() ? last : 0;
  const count = Number(options.getCount());
  return isBackwards(options)
    ? backwards(events, Math.min(from, last), count)
    : forwards(events, from, count);
}

type AllOptions = ReadReq.Options.AllOptions;

/** Forwards with the event at the position, backwards with the one before it: a position lies before its
 *  event. */
function fromAll(store: StoredStreams, asked: AllOptions, options: ReadReq.Options): Iterable<Stored> {
  const matches = matcher(options);
  const isBack = isBackwards(options);
  const place = asked.getPosition();
  const atEnd = store.all.length;
  const index = place ? store.before(Number(place.getCommitPosition())) : asked.hasEnd() ? atEnd : 0;
  const count = Number(options.getCount());
  return isBack
    ? backwards(store.all, index - 1, count, matches)
    : forwards(store.all, index, count, matches);
}

function* forwards(events: readonly Stored[], from: number, count: number, matches: Matches = () => true) {
  let left = count;
  const until = events.length; // What is stored while this is read is for the next one who asks.
  for (let at = from; at < until && left > 0; at++) {
    const event = events[at];
    if (!event || !matches(event)) continue;
    left--;
    yield event;
  }
}

function* backwards(events: readonly Stored[], from: number, count: number, matches: Matches = () => true) {
  let left = count;
  for (let at = from; at >= 0 && left > 0; at--) {
    const event = events[at];
    if (!event || !matches(event)) continue;
    left--;
    yield event;
  }
}

/** Whether a position is one that the server never gave to an event. */
function isNowhere(store: StoredStreams, asked: AllOptions): boolean {
  const place = asked.getPosition();
  if (!place) return false;
  const position = Number(place.getCommitPosition());
  if (position === 0 || position >= store.end()) return false;
  return store.all[store.before(position)]?.position !== position;
}

const nowhere = (): Failure =>
  failure(grpc.status.INVALID_ARGUMENT, "Unexpected ReadAllResult: InvalidPosition");

function notFound(stream: string): Uint8Array {
  const identifier = new shared.StreamIdentifier();
  identifier.setStreamName(Buffer.from(stream, "utf8"));
  const missing = new streams.ReadResp.StreamNotFound();
  missing.setStreamIdentifier(identifier);
  const answer = new streams.ReadResp();
  answer.setStreamNotFound(missing);
  return answer.serializeBinary();
}
