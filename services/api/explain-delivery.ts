import { type Delivery, evolve, unknownDelivery } from "../../shared/domain/delivery/delivery.ts";
import type { DeliveryEvent } from "../../shared/domain/delivery/events.ts";
import { defaultScheduleMs } from "../../shared/domain/delivery/retry.ts";
import type { EndpointVersion } from "../../shared/domain/endpoint/history.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { type Cause, causeOf } from "./cause.ts";

const cancelledBecause: Readonly<Record<string, string>> = {
  content_erased: "what it tells of was erased: its bytes cannot be made any more",
  superseded: "the run has gone on: what it asked for has its answer, or something newer is told",
  wait_resolved: "what it asked for has its answer",
  aborted: "the receiver asked for no more of it",
  replay_cancelled: "the replay that asked for it was cancelled before it was attempted",
  endpoint_disabled: "its endpoint was disabled before it was delivered",
};
const requestedBecause: Readonly<Record<string, string>> = {
  resend: "somebody asked for it once more",
  failed: "it had been given up",
  missing: "it had never been attempted",
  all: "all there is was asked for, delivered or not",
};

type Known = { delivery: Delivery; version: EndpointVersion | undefined };

/** What a delivery's own events say, each as it follows from those before. */
export function deliveryCauses(
  history: readonly RecordedEvent[],
  versionAt: (revision: number) => EndpointVersion | undefined,
): Cause[] {
  let known: Known = { delivery: unknownDelivery, version: undefined };
  return history.map((event) => {
    // What was recorded on this kind of stream was decided from this union; our own history is trusted.
    const happened = event as unknown as DeliveryEvent;
    const cause = causeOf(event, happened.type.replace("delivery.", ""), becauseOf(event, happened, known));
    const delivery = evolve(known.delivery, { ...happened, at: event.meta.at });
    const revision =
      happened.type === "delivery.attempted" ? happened.data.endpointRevision : known.version?.revision;
    known = { delivery, version: revision === undefined ? undefined : versionAt(revision) };
    return cause;
  });
}

function becauseOf(event: RecordedEvent, happened: DeliveryEvent, known: Known): string {
  const { delivery } = known;
  switch (happened.type) {
    case "delivery.requested": {
      const { reason, replay } = happened.data;
      const why = requestedBecause[reason] ?? reason;
      return replay === undefined ? why : `${replay} asked for it: ${why}`;
    }
    case "delivery.attempted":
      return attemptBecause(happened.data, delivery);
    case "delivery.responded":
      return answerBecause(event, happened.data, known);
    case "delivery.exhausted":
      return stepsOf(known.version)[delivery.scheduleStep + 1] === undefined
        ? "the schedule has no further attempt"
        : "the endpoint asks for no other attempt after such an answer";
    case "delivery.cancelled":
      return cancelledBecause[happened.data.reason] ?? happened.data.reason;
  }
}

type Data<Type extends DeliveryEvent["type"]> = Extract<DeliveryEvent, { type: Type }>["data"];

function attemptBecause(data: Data<"delivery.attempted">, { unanswered }: Delivery): string {
  const { attempt, scheduleStep, endpointRevision, secretKeyIds } = data;
  const to = `to the endpoint as of its revision ${endpointRevision}, signed with ${secretKeyIds.join(", ")}`;
  return unanswered === null
    ? `attempt ${attempt} was due, at step ${scheduleStep} of the schedule; ${to}`
    : `nobody knows how attempt ${unanswered} ended: attempt ${attempt} repeats it, at step ` +
        `${scheduleStep} of the schedule; ${to}`;
}

function answerBecause(event: RecordedEvent, data: Data<"delivery.responded">, known: Known): string {
  const { attempt, outcome, httpStatus, durationMs, nextAttemptAt, directive } = data;
  const status = httpStatus === undefined ? "" : ` with ${httpStatus}`;
  const directed = directive === undefined ? "" : `, and "webhook-delivery: ${directive}"`;
  const ended = `attempt ${attempt} ended as ${outcome}${status} after ${durationMs} ms${directed}`;
  if (nextAttemptAt === undefined) return ended;
  const pauseMs = Date.parse(nextAttemptAt) - Date.parse(event.meta.recordedAt);
  const scheduledMs = stepsOf(known.version)[known.delivery.scheduleStep + 1] ?? 0;
  const why =
    pauseMs > latestMs(scheduledMs)
      ? `the receiver asked for a pause longer than the schedule's of ${scheduledMs} ms (Retry-After)`
      : `the schedule's pause is ${scheduledMs} ms, and a little more by chance`;
  return `${ended}; the next is due at ${nextAttemptAt}, because ${why}`;
}

/** An endpoint's own pauses, or the usual ones; the last repeats where it asks for more attempts. */
function stepsOf(version: EndpointVersion | undefined): readonly number[] {
  const schedule = version?.scheduleMs ?? defaultScheduleMs;
  const { attemptsMax = schedule.length } = version?.policy ?? {};
  return Array.from({ length: attemptsMax }, (_, step) => schedule[step] ?? schedule.at(-1) ?? 0);
}

const SLACK_MS = 50;

/** The latest that the schedule alone makes of a pause: chance adds a tenth, or a second to the long ones. */
const latestMs = (scheduledMs: number): number => Math.max(scheduledMs * 1.1, scheduledMs + 1000) + SLACK_MS;
