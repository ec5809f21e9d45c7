import type { Json, JsonObject } from "../event.ts";

/** What a condition compares with. */
type Scalar = string | number | boolean | null;

/** A condition over a JSON value, parsed: asked without a doubt, and never more work than its parts times
 *  the strings that it looks at. */
export type Condition =
  | { kind: "all" | "any"; of: readonly Condition[] }
  | { kind: "not"; of: Condition }
  | { kind: "at"; path: readonly string[]; of: Condition }
  | { kind: "test"; holds: (value: Json) => boolean };

export type ConditionIssue = { path: (string | number)[]; message: string };
export type ParsedCondition = { condition: Condition } | { issues: ConditionIssue[] };

export const conditionLimits = { depth: 8, nodes: 64, values: 100, characters: 256, nameCharacters: 255 };

const isScalar = (value: Json): value is Scalar =>
  value === null || ["string", "number", "boolean"].includes(typeof value);
const isObject = (value: Json): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

type Test = (value: Json) => boolean;

/** Both numbers, or both texts: texts are compared as they are written, which puts instants in order. */
const compared =
  (operand: Scalar, holds: (order: number) => boolean): Test =>
  (value) => {
    if (typeof value !== typeof operand || isObject(value) || operand === null || value === null)
      return false;
    return holds(value === operand ? 0 : (value as Scalar & {}) < operand ? -1 : 1);
  };

const contains =
  (operand: Scalar): Test =>
  (value) =>
    Array.isArray(value)
      ? value.some((one) => one === operand)
      : typeof value === "string" && typeof operand === "string" && value.includes(operand);

/** Operators with one value to compare with. What is absent is `undefined`, which nothing equals. */
const comparing: Record<string, (operand: Scalar) => Test> = {
  $eq: (operand) => (value) => value === operand,
  $ne: (operand) => (value) => value !== operand,
  $gt: (operand) => compared(operand, (order) => order > 0),
  $gte: (operand) => compared(operand, (order) => order >= 0),
  $lt: (operand) => compared(operand, (order) => order < 0),
  $lte: (operand) => compared(operand, (order) => order <= 0),
  $contains: contains,
  $startsWith: (operand) => (value) => typeof value === "string" && value.startsWith(String(operand)),
};
/** What an operator takes where that is not every scalar. */
const operands: Record<string, readonly string[]> = {
  $gt: ["number", "string"],
  $gte: ["number", "string"],
  $lt: ["number", "string"],
  $lte: ["number", "string"],
  $startsWith: ["string"],
};
const listing: Record<string, (operands: ReadonlySet<Json>) => Test> = {
  $in: (known) => (value) => known.has(value),
  $nin: (known) => (value) => !known.has(value),
};
const operators = [...Object.keys(comparing), ...Object.keys(listing), "$exists", "$and", "$or", "$not"];

/** A name leads to a member, names between dots to one inside another, as does an object in an object; a
 *  backslash takes its meaning from a dot. Undefined where a name is empty or too long. */
function pathOf(key: string): string[] | undefined {
  const names: string[] = [];
  let name = "";
  for (let index = 0; index < key.length; index++) {
    const escaped = key[index] === "\\" && (key[index + 1] === "." || key[index + 1] === "\\");
    if (escaped) index++;
    if (key[index] !== "." || escaped) name += key[index];
    else {
      names.push(name);
      name = "";
    }
  }
  names.push(name);
  const fits = names.every(({ length }) => length > 0 && length <= conditionLimits.nameCharacters);
  return fits ? names : undefined;
}

/** The door: what is not a condition, or is one that costs too much, is said with where it is. */
export function parseCondition(given: Json): ParsedCondition {
  const issues: ConditionIssue[] = [];
  let nodes = 0;
  const never: Condition = { kind: "any", of: [] };
  const wrong = (path: (string | number)[], message: string): Condition => {
    issues.push({ path, message });
    return never;
  };

  function operand(value: Json, path: (string | number)[], types?: readonly string[]): Scalar {
    const fits = isScalar(value) && (types === undefined || types.includes(typeof value));
    if (!fits) wrong(path, `must be ${types?.join(" or ") ?? "a string, a number, true, false or null"}`);
    else if (typeof value === "string" && value.length > conditionLimits.characters)
      wrong(path, `must have at most ${conditionLimits.characters} characters`);
    return isScalar(value) ? value : null;
  }

  function list(value: Json, path: (string | number)[]): readonly Json[] {
    const fits = Array.isArray(value) && value.length > 0 && value.length <= conditionLimits.values;
    if (!fits) wrong(path, `must be a list of 1 to ${conditionLimits.values}`);
    return fits ? value : [];
  }

  function operated(key: string, value: Json, path: (string | number)[], depth: number): Condition {
    if (key === "$and" || key === "$or") {
      const of = list(value, path).map((one, index) => parsed(one, [...path, index], depth + 1));
      return { kind: key === "$and" ? "all" : "any", of };
    }
    if (key === "$not") return { kind: "not", of: parsed(value, path, depth + 1) };
    if (key === "$exists") {
      if (typeof value !== "boolean") return wrong(path, "must be true or false");
      return { kind: "test", holds: (found) => (found !== undefined) === value };
    }
    const known = listing[key];
    if (known) {
      const all = list(value, path).map((one, index) => operand(one, [...path, index]));
      return { kind: "test", holds: known(new Set(all)) };
    }
    const test = comparing[key];
    if (!test) return wrong(path, `is no operator; there are ${operators.join(", ")}`);
    return { kind: "test", holds: test(operand(value, path, operands[key])) };
  }

  function entry(key: string, value: Json, path: (string | number)[], depth: number): Condition {
    if (nodes >= conditionLimits.nodes)
      return issues.some(({ path: at }) => at.length === 0) ? never : tooMany();
    nodes++;
    if (key.startsWith("$")) return operated(key, value, path, depth);
    const names = pathOf(key);
    if (!names) return wrong(path, "must be names of 1 to 255 characters, with dots between");
    nodes += names.length - 1;
    const inside = depth + names.length;
    if (inside - 1 > conditionLimits.depth) return tooDeep(path);
    if (isObject(value)) return { kind: "at", path: names, of: parsed(value, path, inside) };
    if (!isScalar(value)) return wrong(path, "must be one value, or an object with operators");
    return { kind: "at", path: names, of: operated("$eq", value, path, inside) };
  }

  const tooMany = () => wrong([], `must have at most ${conditionLimits.nodes} comparisons and names`);
  const tooDeep = (path: (string | number)[]) =>
    wrong(path, `must not be deeper than ${conditionLimits.depth}`);

  function parsed(value: Json, path: (string | number)[], depth: number): Condition {
    if (!isObject(value)) return wrong(path, "must be an object");
    const entries = Object.entries(value);
    if (depth > conditionLimits.depth) return tooDeep(path);
    if (entries.length === 0) return wrong(path, "must say something");
    return { kind: "all", of: entries.map(([key, one]) => entry(key, one, [...path, key], depth)) };
  }

  const condition = parsed(given, [], 1);
  return issues.length > 0 ? { issues } : { condition };
}

/** Whether a condition holds of a value. It throws for none. */
export function holds(condition: Condition, value: Json): boolean {
  switch (condition.kind) {
    case "all":
      return condition.of.every((one) => holds(one, value));
    case "any":
      return condition.of.some((one) => holds(one, value));
    case "not":
      return !holds(condition.of, value);
    case "at":
      return holds(condition.of, condition.path.reduce(member, value));
    case "test":
      return condition.holds(value);
  }
}

/** A member that is there of itself: what every object has by being one is absent. */
function member(value: Json, name: string): Json {
  if (Array.isArray(value)) return /^(?:0|[1-9]\d{0,8})$/.test(name) ? value[Number(name)] : undefined;
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}
