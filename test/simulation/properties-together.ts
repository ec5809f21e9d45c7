import type { RecordedEvent } from "../../shared/domain/event.ts";
import {
  closes,
  hears,
  isAttempt,
  isExample,
  isRequest,
  msOf,
  openSince,
  type Reading,
  roundsOf,
  type Story,
  turnsOff,
  versionAt,
  versionOf,
} from "./deliveries.ts";
import { HEARD_MS, isStalledAt } from "./waiting.ts";

type Check = (reading: Reading) => string[];

/** What is promised of deliveries beside each other, in their runs. */
const orderKept: Check = (reading) => {
  const found: string[] = [];
  const ofRuns = reading.stories.filter(({ of }) => of.stream.startsWith("run-"));
  for (const same of Map.groupBy(ofRuns, ({ endpoint, of }) => `${endpoint} ${of.stream}`).values())
    for (const later of same)
      for (const earlier of same) {
        if (earlier.owed !== "owed" || earlier.of.revision >= later.of.revision) continue;
        const first = later.events.find(isAttempt);
        if (first && orderAt(reading, later, first) === "perRun" && !isClosedBefore(reading, earlier, first))
          found.push(`${later.id} goes before ${earlier.id} of its run`);
        const late = roundsOf(earlier)[0]?.find(
          (one) =>
            isAttempt(one) &&
            msOf(one) > msOf(later.of) + HEARD_MS &&
            orderAt(reading, earlier, one) === "newestOnly" &&
            !isStalledAt(reading, msOf(one)),
        );
        if (later.owed === "owed" && late) found.push(`${earlier.id} is sent though ${later.id} is newer`);
      }
  return found;
};

const orderAt = (reading: Reading, story: Story, attempt: RecordedEvent) =>
  versionOf(reading, story, attempt)?.order;

function isClosedBefore(reading: Reading, earlier: Story, first: RecordedEvent): boolean {
  const off = turnsOff(reading, earlier.endpoint);
  if (off.some(({ position }) => position > earlier.of.position && position < first.position)) return true;
  return earlier.events.some((event) => closes(event) && event.position < first.position);
}

/** Where an endpoint's first open delivery is, by the view and by a plain reading. */
const watermarkRight: Check = (reading) => {
  const found: string[] = [];
  const byEndpoint = Map.groupBy(reading.stories, ({ endpoint }) => endpoint);
  for (const { position: until, rows } of reading.watermarks)
    for (const [endpoint, stories] of byEndpoint) {
      const id = endpoint.replace("-", "_");
      const inView = rows
        .filter(({ openEndpoint }) => openEndpoint === id)
        .map(({ owedPosition }) => owedPosition);
      const inLog = stories
        .map((story) => openSince(reading, story, until))
        .filter((since) => since !== undefined);
      const [ours, theirs] = [least(inLog), least(inView)];
      if (ours !== theirs) found.push(`at ${until} it is ${theirs}, not ${ours}`);
    }
  return found;
};

const least = (all: readonly bigint[]): bigint | undefined =>
  all.reduce<bigint | undefined>((low, one) => (low === undefined || one < low ? one : low), undefined);

/** Attempts begun in a second, by each dispatcher: what it begins at once is 5 ms of its rate at most. */
const rateKept: Check = (reading) => {
  const found: string[] = [];
  const crowd = reading.world.terms.dispatchers;
  for (const [endpoint, known] of reading.versions) {
    if (known.every(({ perSecondMax }) => perSecondMax === Number.POSITIVE_INFINITY)) continue;
    const times = reading.stories
      .filter((story) => story.endpoint === endpoint)
      .flatMap(({ events }) => events.filter(isAttempt).map(msOf))
      .sort((a, b) => a - b);
    for (const [index, fromMs] of times.entries()) {
      const untilMs = fromMs + 10_000;
      const count = times.slice(index).filter((ms) => ms < untilMs).length;
      const then = known.filter(
        ({ atMs }, at) => atMs <= untilMs && (known[at + 1]?.atMs ?? untilMs) >= fromMs - HEARD_MS,
      );
      const rate = Math.max(...then.map(({ perSecondMax }) => perSecondMax));
      const restarts = reading.kills.filter(({ atMs }) => atMs >= fromMs && atMs <= untilMs).length;
      const most = (crowd + restarts) * Math.ceil(rate * 10.05 + 1) + 1;
      if (count <= most || isStalledAt(reading, untilMs)) continue;
      found.push(`${endpoint} is sent ${count} in 10 s, at ${rate} a second`);
      break;
    }
  }
  return found;
};

/** How long a live delivery that is due may be unknown to who sends: the views' lag, and a look. */
const LATE_MS = 5000;

/** While a live delivery of its endpoint is due and could be sent, nothing that was asked for again is. */
const replaysLast: Check = (reading) => {
  if (reading.kills.length + reading.stalls.length > 0 || reading.world.terms.dispatchers > 1) return [];
  const found: string[] = [];
  for (const same of Map.groupBy(reading.stories, ({ endpoint }) => endpoint).values()) {
    const live = same.filter(({ owed }) => owed === "owed").flatMap((story) => dueSpans(reading, story));
    for (const story of same)
      for (const round of roundsOf(story)) {
        const first = round[0]?.type === "delivery.requested" ? round.find(isAttempt) : undefined;
        const version = first && versionOf(reading, story, first);
        // Where the order of runs holds one back, the other need not wait for it too.
        if (!first || version?.order === "perRun" || version?.isPaused) continue;
        const atMs = msOf(first);
        const before = live.find(({ fromMs, untilMs }) => fromMs + LATE_MS < atMs && untilMs > atMs);
        if (before) found.push(`${story.id} goes before ${before.id}, which is due`);
      }
  }
  return found;
};

/** When a delivery that is owed by itself was due, and not attempted yet. */
function dueSpans(reading: Reading, story: Story): { id: string; fromMs: number; untilMs: number }[] {
  const [round = []] = roundsOf(story);
  const { id, of, endpoint } = story;
  const owing = versionAt(reading, endpoint, of.position);
  const offMs = turnsOff(reading, endpoint).find(({ position }) => position > of.position)?.atMs ?? Infinity;
  const spans = [];
  // What kept it from being sent need not have been over when it was asked for anew.
  const asked = story.events.find(isRequest);
  let dueMs: number | undefined = msOf(of) + (isExample(story) ? 0 : (owing?.scheduleMs[0] ?? 0));
  for (const event of [...round, asked].filter((one) => one !== undefined)) {
    if (dueMs !== undefined) spans.push({ id, fromMs: dueMs, untilMs: Math.min(msOf(event), offMs) });
    const { nextAttemptAt } = event.data;
    dueMs = typeof nextAttemptAt === "string" ? Date.parse(nextAttemptAt) : undefined;
  }
  return spans;
}

/** A replay asks for what it is to ask for, and for nothing else. */
const replaysRight: Check = (reading) =>
  reading.world.log.events
    .filter(({ type }) => type === "replay.requested")
    .flatMap((asked) => {
      const own = reading.world.log.events.filter(({ stream }) => stream === asked.stream);
      const done = own.find(({ type }) => type === "replay.completed" || type === "replay.cancelled");
      if (!done) return reading.isOver ? [`${asked.stream} has no end`] : [];
      return reading.stories.flatMap((story) => {
        const said = misaskedBy(reading, asked, done, story);
        return said ? [`${story.id} ${said} ${asked.stream}`] : [];
      });
    });

function misaskedBy(
  reading: Reading,
  asked: RecordedEvent,
  done: RecordedEvent,
  story: Story,
): string | undefined {
  const { kind, from, until, endpoint, endpointRevision } = asked.data;
  const { of, events } = story;
  const replay = asked.stream.replace("-", "_");
  const mine = events.filter((event) => isRequest(event) && event.data.replay === replay);
  if (mine.length > 1) return "is asked for twice by";
  const isOfIt = story.endpoint.replace("-", "_") === endpoint;
  const isWithin = of.position > BigInt(String(from)) && of.position <= BigInt(String(until));
  const since = reading.versions.get(story.endpoint);
  const version = versionAt(reading, story.endpoint, of.position) ?? since?.[Number(endpointRevision)];
  const first = reading.world.log.events.find(({ stream }) => stream === of.stream);
  const isOfOthers = of.stream !== story.endpoint && of.data.endpoint !== endpoint;
  const isHeard =
    version !== undefined && version.state !== "deleted" && isOfOthers && hears(version, of, first);
  const isItsOwn = isOfIt && isWithin && isHeard;
  const [request] = mine;
  if (request) {
    if (!isItsOwn) return "is none of";
    const tried = events.some((event) => isAttempt(event) && event.position < request.position);
    return kind === "all" || tried === (kind === "failed") ? undefined : `is not ${kind}, but asked for by`;
  }
  if (!isItsOwn || done.type !== "replay.completed") return undefined;
  const before = events.filter(({ position }) => position <= done.position);
  const isAsked = before.some((event) => isRequest(event) && event.position > asked.position);
  if (isAsked || openSince(reading, story, asked.position) !== undefined) return undefined;
  const last = before.at(-1);
  const isSettled = last?.data.outcome === "delivered" || last?.data.reason === "superseded";
  const isWanted = kind === "all" || (!isSettled && before.some(isAttempt) === (kind === "failed"));
  return isWanted ? "is not asked for by" : undefined;
}

/** While its health has an endpoint paused, one attempt a minute shows whether it answers again. */
const probesSpaced: Check = (reading) => {
  if (reading.kills.length > 0 || reading.world.terms.dispatchers > 1) return [];
  return [...reading.versions].flatMap(([endpoint, known]) => {
    const attempts = reading.stories
      .filter((story) => story.endpoint === endpoint && !isExample(story))
      .flatMap(({ events }) => events.filter(isAttempt).map(msOf));
    return known.flatMap(({ isPaused, atMs }, index) => {
      const untilMs = known[index + 1]?.atMs ?? Infinity;
      const within = isPaused ? attempts.filter((ms) => ms > atMs + HEARD_MS && ms < untilMs) : [];
      const close = within
        .sort((a, b) => a - b)
        .find((ms, at) => ms - (within[at - 1] ?? -Infinity) < 59_000);
      return close === undefined ? [] : [`${endpoint} is probed twice in a minute, at ${close}`];
    });
  });
};

/** What is closed is in nobody's memory, once nothing is left to do. */
const forgotten: Check = ({ isOver, minds, stalls }) =>
  minds.flatMap(({ remembers, known, faults }) => [
    ...Object.entries(isOver ? remembers : {})
      .filter(([, count]) => count > 0)
      .map(([what, count]) => `${count} ${what} are left at the end`),
    ...(isOver ? known : []).map((delivery) => `${delivery} is still queued`),
    // Who stands still does not hear the log in time, and says so.
    ...(stalls.length > 0 ? [] : faults.map(({ message }) => `there was a fault: ${message}`)),
  ]);

export const together: Readonly<Record<string, Check>> = {
  orderKept,
  watermarkRight,
  rateKept,
  replaysLast,
  replaysRight,
  probesSpaced,
  forgotten,
};
