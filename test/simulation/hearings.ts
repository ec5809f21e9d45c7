import type { RecordedEvent } from "../../shared/domain/event.ts";

type Hearing = {
  types: readonly string[];
  filter?: object;
  match?: { where: object };
  /** The same in plain words: of a run's event, and how the run began. */
  hears(event: RecordedEvent, run: { workflow: unknown; isTest: boolean; amount: number }): boolean;
};

const isOf = (kind: string, { stream }: RecordedEvent) => stream.startsWith(`${kind}-`);
const allOf = { types: ["run.*"], hears: (event: RecordedEvent) => isOf("run", event) };
const where = (condition: object) => ({ filter: { matches: true }, match: { where: condition } });

/** What endpoints in stories hear of, under the names that they are described by. */
export const hearings: Readonly<Record<string, Hearing>> = {
  runs: allOf,
  everything: { types: ["*"], hears: () => true },
  endpoints: { types: ["endpoint.*"], hears: (event) => isOf("endpoint", event) },
  losses: {
    types: ["delivery.*", "run.failed"],
    hears: ({ type }) => /^(delivery\.|run\.failed)/.test(type),
  },
  "two ends": {
    types: ["run.completed", "run.failed"],
    hears: ({ type }) => type === "run.completed" || type === "run.failed",
  },
  "failures and questions": {
    ...allOf,
    filter: { statuses: ["failed", "awaiting_input"] },
    hears: ({ type }) => type === "run.failed" || type === "run.awaiting_input",
  },
  billing: {
    ...allOf,
    filter: { workflows: ["billing"] },
    hears: (event, { workflow }) => isOf("run", event) && workflow === "billing",
  },
  tests: {
    ...allOf,
    filter: { test: true },
    hears: (event, { isTest }) => isOf("run", event) && isTest,
  },
  much: {
    ...allOf,
    ...where({ "input.amount": { $gte: 50 } }),
    hears: (event, { amount }) => isOf("run", event) && amount >= 50,
  },
  "little that waits, or anything that failed": {
    ...allOf,
    ...where({
      $or: [
        { $and: [{ "input.amount": { $lt: 50 } }, { status: "awaiting_input" }] },
        { status: { $in: ["failed"] } },
      ],
    }),
    hears: ({ type }, { amount }) => type === "run.failed" || (type === "run.awaiting_input" && amount < 50),
  },
};

export const hearingNames = Object.keys(hearings);
