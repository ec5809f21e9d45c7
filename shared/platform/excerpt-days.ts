import { variable } from "./variables.ts";

/** For how many days an excerpt of an answer is kept, by class: 0 where none is recorded at all, Infinity for
 *  ever. Beside the two classes that all attempts are of, outcomes can be classes of their own. */
export type ExcerptDays = Readonly<Record<string, number>>;

/** How attempts end that are not delivered, as `failed` has them all. */
export const failedOutcomes = [
  "http_error",
  "timeout_connect",
  "timeout_headers",
  "timeout_body",
  "dns",
  "tls",
  "refused",
  "reset",
  "blocked",
  "too_large",
  "unknown",
] as const;

const CLASSES: readonly string[] = ["delivered", "failed", ...failedOutcomes];
const DAYS_MAX = 36_500;
const FOR_EVER = "forever";
const USUAL: ExcerptDays = { delivered: 7, failed: 30 };

/** `delivered:7,failed:30`. What is not named stays as it is by default. */
export const excerptDays = variable(
  `days by class, like delivered:7,failed:30, each class once: days are 0-${DAYS_MAX} or ${FOR_EVER}, ` +
    `classes ${CLASSES.join(", ")}`,
  (text): ExcerptDays | undefined => {
    const days: Record<string, number> = {};
    for (const item of text.split(",")) {
      const [, name = "", word = ""] = /^\s*([a-z_]+)\s*:\s*(\d{1,5}|forever)\s*$/.exec(item) ?? [];
      const value = word === FOR_EVER ? Number.POSITIVE_INFINITY : Number(word);
      if (!CLASSES.includes(name) || Object.hasOwn(days, name)) return undefined;
      if (Number.isFinite(value) && value > DAYS_MAX) return undefined;
      days[name] = value;
    }
    return days;
  },
);

/** Where nothing can be erased, what is recorded is kept for ever, unless days are asked for in vain. */
export function excerptDaysOf(asked: ExcerptDays = {}, canErase: boolean): ExcerptDays {
  const usual = canErase ? USUAL : { delivered: Number.POSITIVE_INFINITY, failed: Number.POSITIVE_INFINITY };
  return { ...usual, ...asked };
}

/** What is wrong with days that are asked for where nothing can be erased. */
export function* excerptProblems(asked: ExcerptDays = {}, canErase: boolean): Generator<string> {
  if (!canErase && Object.values(asked).some((days) => days > 0 && Number.isFinite(days)))
    yield "RUNLEDGER_EXCERPT_DAYS cannot end where RUNLEDGER_SEAL_CONTENT=false: what is not sealed cannot " +
      "be erased; only 0 and forever can be asked for";
}

/** The class of an attempt's excerpt. */
export const excerptClass = (days: ExcerptDays, outcome: string): string => {
  if (Object.hasOwn(days, outcome)) return outcome;
  return outcome === "delivered" ? "delivered" : "failed";
};

/** Whether an excerpt of such an attempt is recorded at all. */
export const keepsExcerpt = (days: ExcerptDays, outcome: string): boolean =>
  days[excerptClass(days, outcome)] !== 0;
