import { canOwe } from "../endpoint/owed.ts";
import type { JsonObject } from "../event.ts";
import type { Answer, RecordedDelivery, RetryPolicy } from "./what-if.ts";

/** An event of the log, as far as it matters to how deliveries went. */
type Passed = { id: string; type: string; stream: string; atMs: number; data: JsonObject };

/** Reads how the deliveries to one endpoint went, event by event in the log's order: what was owed it and
 *  when, and how it answered. What was asked for again is another delivery. */
export function openRecordedDeliveries(endpointStream: string, endpointId: string) {
  const owedAtMs = new Map<string, number>();
  const open = new Map<string, RecordedDelivery>();
  const deliveries: RecordedDelivery[] = [];
  const answers: Answer[] = [];
  let policy: RetryPolicy = {};
  let isKnown = false;

  function begin(stream: string, atMs: number): RecordedDelivery {
    const one: RecordedDelivery = { id: stream, owedAtMs: atMs, policy, attempts: 0, result: "open" };
    open.set(stream, one);
    deliveries.push(one);
    return one;
  }

  function end(stream: string, result: RecordedDelivery["result"], endedAtMs: number): void {
    const one = open.get(stream);
    if (one) Object.assign(one, { result, endedAtMs });
    open.delete(stream);
  }

  function takeDelivery({ type, stream, atMs, data }: Passed): void {
    const isOurs = data.endpoint === endpointId;
    if (type === "delivery.requested" && isOurs) begin(stream, atMs);
    if (type === "delivery.attempted" && isOurs) {
      const one = open.get(stream) ?? begin(stream, owedAtMs.get(String(data.event)) ?? atMs);
      one.attempts++;
    }
    if (!open.has(stream)) return;
    if (type === "delivery.responded") {
      const { outcome, httpStatus } = data;
      answers.push({
        atMs,
        outcome: String(outcome),
        ...(typeof httpStatus === "number" ? { httpStatus } : {}),
      });
      if (outcome === "delivered") end(stream, "delivered", atMs);
    }
    if (type === "delivery.exhausted") end(stream, "exhausted", atMs);
    if (type === "delivery.cancelled") end(stream, "cancelled", atMs);
  }

  return {
    take(event: Passed): void {
      const { id, type, stream, atMs, data } = event;
      if (canOwe(event)) owedAtMs.set(id, atMs);
      if (stream.startsWith("delivery-")) takeDelivery(event);
      if (stream !== endpointStream) return;
      isKnown = true;
      if (type === "endpoint.created" || type === "endpoint.updated") policy = policyOf(data);
    },
    isKnown: (): boolean => isKnown,
    /** Those that were attempted; what was cancelled says nothing of a schedule. */
    deliveries: (): readonly RecordedDelivery[] => deliveries.filter(({ result }) => result !== "cancelled"),
    answers: (): readonly Answer[] => answers,
  };
}

/** What was recorded was checked then. */
const policyOf = ({ scheduleMs, attemptsMax, retriedStatuses }: JsonObject): RetryPolicy =>
  ({
    ...(scheduleMs === undefined ? {} : { scheduleMs }),
    ...(attemptsMax === undefined ? {} : { attemptsMax }),
    ...(retriedStatuses === undefined ? {} : { retriedStatuses }),
  }) as RetryPolicy;
