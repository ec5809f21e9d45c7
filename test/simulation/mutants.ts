import type { DispatcherDeps } from "../../services/dispatcher/dispatcher.ts";
import type { EndpointVersion } from "../../shared/domain/endpoint/history.ts";
import type { JsonObject, RecordedEvent } from "../../shared/domain/event.ts";
import type { StoryOptions } from "./story.ts";
import type { Fault } from "./world.ts";

/** A dispatcher with one thing wrong, and the property that must show it. */
export type Mutant = {
  property: string;
  what: string;
  options?: StoryOptions;
  make(): Fault;
};

type Current = (version: EndpointVersion) => EndpointVersion;

/** An endpoint is taken for something else than it is. */
const takenFor = (change: Current) => (): Fault => ({
  deps: (deps) => {
    const { current } = deps.endpoints;
    const changed = (stream: string) => {
      const version = current(stream);
      return version && change(version);
    };
    return { ...deps, endpoints: { ...deps.endpoints, current: changed } };
  },
});

const withPolicy = (policy: EndpointVersion["policy"]) =>
  takenFor((version) => ({ ...version, policy: { ...version.policy, ...policy } }));

/** What is recorded of a type says something else. */
const recordedAs = (type: string, change: (data: JsonObject) => JsonObject) => (): Fault => ({
  deps: (deps) => {
    const record: DispatcherDeps["ledger"]["record"] = (stream, command, how) => {
      const items = command.items.map((item) =>
        item.proposed.type === type
          ? { ...item, proposed: { ...item.proposed, data: change(item.proposed.data) } }
          : item,
      );
      return deps.ledger.record(stream, { ...command, items }, how);
    };
    return { ...deps, ledger: { ...deps.ledger, record } };
  },
});

const posting = (change: (post: DispatcherDeps["post"]) => DispatcherDeps["post"]) => (): Fault => ({
  deps: (deps) => ({ ...deps, post: change(deps.post) }),
});

/** It never hears of what some runs owe, and nobody tells it later. */
function forgetful(): Fault {
  const missed = new Set<string>();
  return {
    misses({ id, type }) {
      if (type === "run.failed") missed.add(id);
      return missed.has(id);
    },
    deps: (deps) => ({
      ...deps,
      backlog: {
        ...deps.backlog,
        due: async (...args) => (await deps.backlog.due(...args)).filter(({ event }) => !missed.has(event)),
      },
    }),
  };
}

/** What it was owed before it was turned off is kept in mind, and sent. */
function stubborn(): Fault {
  return {
    deps: (deps) => {
      const { current } = deps.endpoints;
      const on = (stream: string) => {
        const version = current(stream);
        return version && { ...version, status: "enabled" as const };
      };
      return { ...deps, endpoints: { ...deps.endpoints, current: on, endedSince: () => false } };
    },
  };
}

/** What is tried again is found late, so that what was asked for again is found first. */
function impatient(): Fault {
  return {
    deps: (deps) => ({
      ...deps,
      backlog: {
        ...deps.backlog,
        async due(endpoint, nowMs, ...how) {
          const found = await deps.backlog.due(endpoint, nowMs, ...how);
          const longDue = await deps.backlog.due(endpoint, nowMs - 20_000, ...how);
          return found.filter(
            ({ urgency, delivery }) => urgency !== 1 || longDue.some((late) => late.delivery === delivery),
          );
        },
      },
    }),
  };
}

const isOf = (type: string) => (event: RecordedEvent) => event.type === type;
const failedAt = ({ type, data }: RecordedEvent) =>
  type === "delivery.responded" && data.outcome !== "delivered";

export const mutants: readonly Mutant[] = [
  { property: "nothingLost", what: "never hears of some runs' ends", make: forgetful },
  {
    property: "nothingLost",
    what: "does not look for what was owed before it was killed",
    options: { crashes: true },
    make: () => ({
      deps: (deps) =>
        deps.from > 3n ? { ...deps, backlog: { ...deps.backlog, due: async () => [] } } : deps,
    }),
  },
  {
    property: "numbersAndSteps",
    what: "skips steps of the schedule",
    make: recordedAs("delivery.attempted", (data) => ({
      ...data,
      scheduleStep: Number(data.scheduleStep) * 2,
    })),
  },
  {
    property: "newestVersion",
    what: "does not hear of changes of an endpoint",
    make: () => ({
      deps: (deps) => ({
        ...deps,
        endpoints: { ...deps.endpoints, current: (stream) => deps.endpoints.atRevision(stream, 0) },
      }),
    }),
  },
  {
    property: "exhaustedRightly",
    what: "gives up after the first attempt",
    make: withPolicy({ attemptsMax: 1 }),
  },
  {
    property: "neverEarly",
    what: "does not read Retry-After",
    make: posting((post) => async (request, signal) => {
      const { retryAfter: _, ...outcome } = await post(request, signal);
      return outcome;
    }),
  },
  {
    property: "neverEarly",
    what: "has a clock that is ahead",
    make: () => ({
      deps: (deps) => ({ ...deps, clock: { ...deps.clock, now: () => deps.clock.now() + 3000 } }),
    }),
  },
  { property: "neverAfterOff", what: "sends to endpoints that were turned off", make: stubborn },
  {
    property: "oneInFlight",
    what: "sends everything twice at once",
    make: posting((post) => async (request, signal) => {
      const [outcome] = await Promise.all([post(request, signal), post(request, signal)]);
      return outcome;
    }),
  },
  {
    property: "recordedAttempts",
    what: "tries once more without saying so",
    make: posting((post) => async (request, signal) => {
      const outcome = await post(request, signal);
      return outcome.outcome === "delivered" ? outcome : post(request, signal);
    }),
  },
  {
    property: "sameBytes",
    what: "sends other bytes at every attempt",
    make: () => {
      let times = 0;
      return posting((post) => (request, signal) => {
        const body = Buffer.concat([request.body, Buffer.from(" ".repeat(times++ % 7))]);
        return post({ ...request, body }, signal);
      })();
    },
  },
  {
    property: "rightPlace",
    what: "sends to somebody else",
    make: posting((post) => (request, signal) => post({ ...request, url: "http://else.example/" }, signal)),
  },
  {
    property: "rightPlace",
    what: "does not mark what was asked for",
    make: posting((post) => (request, signal) => {
      const { "ledger-replay": _, ...headers } = request.headers;
      return post({ ...request, headers }, signal);
    }),
  },
  {
    property: "cancelledRightly",
    what: "cannot make a body twice",
    make: () => ({
      deps: (deps) => ({
        ...deps,
        render: async (due, form) => (form.bodySha256 === null ? deps.render(due, form) : undefined),
      }),
    }),
  },
  { property: "orderKept", what: "knows of no order", make: withPolicy({ order: "unordered" }) },
  {
    property: "watermarkRight",
    what: "takes failures for deliveries, in its views",
    make: () => ({
      viewed: (event) =>
        failedAt(event) ? { ...event, data: { ...event.data, outcome: "delivered" } } : event,
    }),
  },
  { property: "rateKept", what: "sends faster than it may", make: withPolicy({ perSecondMax: 10_000 }) },
  { property: "replaysLast", what: "sends first what was asked for again", make: impatient },
  {
    property: "replaysRight",
    what: "asks for no failures in replays",
    make: () => ({ replayed: (event) => !isOf("run.failed")(event) }),
  },
  {
    property: "probesSpaced",
    what: "does not hear of pauses",
    make: takenFor((version) => (version.status === "paused" ? { ...version, status: "enabled" } : version)),
  },
  {
    property: "forgotten",
    what: "does not hear of its own attempts",
    options: { shared: true },
    make: () => ({ misses: isOf("delivery.attempted") }),
  },
];
