import { defaultScheduleMs } from "../../shared/domain/delivery/retry.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { Sent } from "../support/simulated-network.ts";
import { closes, msOf, readStories, roundsOf, type Story, turnsOff } from "./deliveries.ts";
import { alive, type Told } from "./story.ts";

type Check = (told: Told, story: Story, sent: readonly Sent[]) => string | undefined;

/** How long what is recorded may take to be heard of: an append's answer, and a turn of the event loop. */
const HEARD_MS = 50;
const HINT_MS_MAX = 24 * 3_600_000;

const isAttempt = ({ type }: RecordedEvent) => type === "delivery.attempted";
const isAnswer = ({ type }: RecordedEvent) => type === "delivery.responded";

function scheduleOf({
  receiver: { scheduleMs = defaultScheduleMs, attemptsMax = scheduleMs.length },
}: Story) {
  const more = Array.from(
    { length: Math.max(0, attemptsMax - scheduleMs.length) },
    () => scheduleMs.at(-1) ?? 0,
  );
  return [...scheduleMs.slice(0, attemptsMax), ...more];
}

/** Closed, or given up with its endpoint. Everybody's time was long enough; who is paused waits on. */
const nothingLost: Check = (told, story) => {
  const { isOwed, of, events, receiver } = story;
  const requested = events.filter(({ type }) => type === "delivery.requested").at(-1);
  if (!isOwed && !requested) return events.length > 0 ? "was skipped, and sent" : undefined;
  const last = events.at(-1);
  if (last && closes(last)) return undefined;
  const since = requested?.position ?? of.position;
  if (turnsOff(told, receiver).some(({ position }) => position > since)) return undefined;
  if (requested && wasOff(told, story, requested)) return undefined;
  return `is still open at the end: ${last?.type ?? "never attempted"}`;
};

/** What is asked for while its endpoint is off is skipped. */
function wasOff({ world }: Told, { receiver }: Story, asked: RecordedEvent): boolean {
  const before = world.log.events.filter(
    ({ stream, position, type }) =>
      stream === receiver.stream && position < asked.position && !/degraded|recovered/.test(type),
  );
  return /disabled|deleted/.test(before.at(-1)?.type ?? "");
}

const numbersAndSteps: Check = (_, story) => {
  let number = 0;
  for (const round of roundsOf(story)) {
    let step = 0;
    let answered = true;
    for (const event of round) {
      if (isAttempt(event)) {
        if (event.data.attempt !== ++number) return `attempt ${event.data.attempt} follows ${number - 1}`;
        const isFirst = !round.slice(0, round.indexOf(event)).some(isAttempt);
        if (!isFirst && answered) step++;
        if (isFirst && !answered) return "a round begins unanswered";
        if (event.data.scheduleStep !== step)
          return `attempt ${number} is at ${event.data.scheduleStep}, not ${step}`;
        if (step >= scheduleOf(story).length) return `attempt ${number} is beyond the schedule`;
        answered = false;
      }
      if (isAnswer(event)) answered = true;
    }
  }
  return undefined;
};

/** Exhausted only at the schedule's end, or by a status that is not retried. */
const exhaustedRightly: Check = (_, story) => {
  for (const round of roundsOf(story)) {
    const end = round.find(({ type }) => type === "delivery.exhausted");
    if (!end) continue;
    const { data } = round.filter(isAnswer).at(-1) ?? {};
    const step = round.filter(isAttempt).at(-1)?.data.scheduleStep;
    const { retriedStatuses } = story.receiver;
    const status = String(data?.httpStatus);
    const isRetried =
      !retriedStatuses || [status, `${status[0]}xx`].some((one) => retriedStatuses.includes(one));
    const isLast = step === scheduleOf(story).length - 1;
    if (!isLast && (isRetried || data?.outcome !== "http_error")) return `was exhausted at step ${step}`;
  }
  return undefined;
};

/** Neither what is recorded as the next attempt nor what is sent is earlier than the schedule and the
 *  receiver say. */
const neverEarly: Check = ({ stalls }, story, sent) => {
  const schedule = scheduleOf(story);
  const windowMs = schedule.reduce((sum, pauseMs) => sum + pauseMs, 0);
  const firstMs = msOf(story.of) + (schedule[0] ?? 0);
  if (sent[0] && !sent[0].replay && sent[0].startMs < firstMs)
    return "was first sent before its schedule begins";
  for (const round of roundsOf(story))
    for (const [index, event] of round.entries()) {
      const { nextAttemptAt } = event.data;
      if (!isAnswer(event) || typeof nextAttemptAt !== "string") continue;
      const began = round.slice(0, index).findLast(isAttempt);
      const first = round.find(isAttempt);
      if (!began || !first) return "an answer without its attempt";
      const answer = sent.findLast(({ endMs, startMs }) => endMs <= msOf(event) && startMs >= msOf(began));
      const restMs = msOf(first) + windowMs - msOf(event);
      const askedMs = Math.min(pauseOf(answer), HINT_MS_MAX, restMs);
      const pauseMs = Math.max(schedule[Number(began.data.scheduleStep) + 1] ?? 0, askedMs);
      const dueMs = Date.parse(nextAttemptAt);
      const slackMs = 2 * HEARD_MS; // What is recorded is decided a moment before.
      if (dueMs < msOf(event) + pauseMs - slackMs) return `is due ${msOf(event) + pauseMs - dueMs} ms early`;
      const next = round.slice(index + 1).find(isAttempt);
      if (next && msOf(next) < dueMs) return `is attempted ${dueMs - msOf(next)} ms early`;
      const after = sent.find(({ startMs }) => startMs > msOf(event));
      // Between its last look at the clock and the socket a process may stand still.
      if (next && after && after.startMs < dueMs && stalls.length === 0)
        return `is sent ${dueMs - after.startMs} ms early`;
    }
  return undefined;
};

/** By another reading than the one that is tested. */
function pauseOf(answer: Sent | undefined): number {
  const text = answer?.outcome.retryAfter ?? "0";
  if (/^-?[\d.]+$/.test(text)) return Math.max(0, Number(text) * 1000);
  const dateMs = Date.parse(text);
  return Number.isNaN(dateMs) || !answer ? 0 : Math.max(0, dateMs - answer.endMs);
}

/** After its endpoint was disabled or deleted nothing is begun that was owed before. */
const neverAfterOff: Check = (told, story) => {
  for (const off of turnsOff(told, story.receiver))
    for (const round of roundsOf(story)) {
      const since = round[0]?.type === "delivery.requested" ? round[0] : story.of;
      if (since.position > off.position) continue;
      const late = round.find((event) => isAttempt(event) && msOf(event) > msOf(off) + HEARD_MS);
      if (late && !isStalledAt(told, msOf(late))) return `is attempted after ${off.type}`;
    }
  return undefined;
};

const isStalledAt = ({ stalls }: Told, ms: number) =>
  stalls.some(({ fromMs, untilMs }) => ms >= fromMs && ms <= untilMs + HEARD_MS);

/** One in flight at a time. Who stands still for longer than its lease cannot call back what it sent. */
const oneInFlight: Check = ({ stalls }, _story, sent) => {
  if (stalls.length > 0) return undefined;
  const overlaps = sent.some((one, index) => sent.slice(0, index).some(({ endMs }) => endMs > one.startMs));
  return overlaps ? "is in flight twice" : undefined;
};

const sameBytes: Check = (_, _story, sent) =>
  new Set(sent.map(({ body }) => body)).size > 1 ? "is sent with other bytes" : undefined;

/** Each request was recorded before, and only what a crash cut off is without its answer. */
const recordedAttempts: Check = ({ kills, stalls }, { events }, sent) => {
  const attempts = events.filter(isAttempt).length;
  if (sent.length > attempts) return `is sent ${sent.length} times, and recorded ${attempts} times`;
  const unanswered = attempts - events.filter(isAnswer).length;
  return unanswered > kills.length + stalls.length * 2 ? `${unanswered} attempts have no answer` : undefined;
};

const everyOne = [
  nothingLost,
  numbersAndSteps,
  exhaustedRightly,
  neverEarly,
  neverAfterOff,
  oneInFlight,
  sameBytes,
  recordedAttempts,
];

/** What is promised of deliveries beside each other: in their runs, and at their endpoints. */
function orderKept(told: Told, stories: readonly Story[]): string[] {
  const found: string[] = [];
  for (const later of stories)
    for (const earlier of stories) {
      const { receiver, of } = later;
      if (earlier.receiver !== receiver || earlier.of.stream !== of.stream || !earlier.isOwed) continue;
      if (earlier.of.revision >= of.revision) continue;
      const first = later.events.find(isAttempt);
      if (receiver.order === "perRun" && first && !isClosedBefore(told, earlier, first))
        found.push(`${later.id} goes before ${earlier.id} of its run`);
      const late = roundsOf(earlier)[0]?.find((one) => isAttempt(one) && msOf(one) > msOf(of) + HEARD_MS);
      if (receiver.order === "newestOnly" && later.isOwed && late && !isStalledAt(told, msOf(late)))
        found.push(`${earlier.id} is sent though ${later.id} is newer`);
    }
  return found;
}

function isClosedBefore(told: Told, earlier: Story, first: RecordedEvent): boolean {
  const off = turnsOff(told, earlier.receiver);
  if (off.some(({ position }) => position > earlier.of.position && position < first.position)) return true;
  return earlier.events.some((event) => closes(event) && event.position < first.position);
}

/** Where an endpoint's first open delivery is, by the view and by a plain reading. */
function watermarksRight({ watermarks, receivers, ...told }: Told, stories: readonly Story[]): string[] {
  const found: string[] = [];
  for (const { position: until, rows } of watermarks)
    for (const receiver of receivers) {
      const id = receiver.stream.replace("-", "_");
      const inView = rows
        .filter(({ openEndpoint }) => openEndpoint === id)
        .map(({ owedPosition }) => owedPosition);
      const inLog = stories.flatMap((story) => {
        if (story.receiver !== receiver || story.of.position > until) return [];
        const since = openSince(story, until);
        const all = { ...told, watermarks, receivers };
        const asked = since && story.events.find(({ position }) => position === since);
        if (since === undefined || (asked && wasOff(all, story, asked))) return [];
        const off = turnsOff(all, receiver).some(({ position }) => position > since && position <= until);
        return off ? [] : [since];
      });
      const [ours, theirs] = [least(inLog), least(inView)];
      if (ours !== theirs) found.push(`the watermark at ${until} is ${theirs}, not ${ours}`);
    }
  return found;
}

function openSince({ isOwed, of, events }: Story, until: bigint): bigint | undefined {
  let since = isOwed ? of.position : undefined;
  for (const event of events) {
    if (event.position > until) break;
    if (event.type === "delivery.requested") since = event.position;
    else if (closes(event)) since = undefined;
  }
  return since;
}

const least = (all: readonly bigint[]): bigint | undefined =>
  all.reduce<bigint | undefined>((low, one) => (low === undefined || one < low ? one : low), undefined);

/** What is closed is in nobody's memory, once nothing is left to do. */
const forgotten = (told: Told, stories: readonly Story[]): string[] =>
  told.isOver
    ? alive(told.world).flatMap(({ isKnown, inFlight }) => [
        ...(inFlight() > 0 ? [`${inFlight()} are in flight at the end`] : []),
        ...stories.filter(({ id }) => isKnown(id.replace("_", "-"))).map(({ id }) => `${id} is still queued`),
      ])
    : [];

/** Everything that a story shows and must not. */
export function violations(told: Told): string[] {
  const stories = readStories(told);
  const bySent = Map.groupBy(told.world.network.sent, ({ delivery }) => delivery);
  const found = stories.flatMap((story) => {
    const sent = bySent.get(story.id) ?? [];
    return everyOne.flatMap((check) => {
      const said = check(told, story, sent);
      return said === undefined ? [] : [`${story.id} ${said}`];
    });
  });
  return [
    ...found,
    ...orderKept(told, stories),
    ...watermarksRight(told, stories),
    ...forgotten(told, stories),
  ];
}
