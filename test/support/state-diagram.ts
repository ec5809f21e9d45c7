import { follows, openStatuses, type Status, statusAfter } from "../../shared/domain/run/run.ts";

type Edge = { from: string; to: string; type: string };

/** Where a type leads from a status; several places where a pause may have interrupted a wait. */
function placesAfter(type: keyof typeof statusAfter, from: Status | "unknown"): Status[] {
  const to = statusAfter[type];
  if (to === undefined) return [];
  return type === "run.resumed" && from === "paused" ? [to, "awaiting_input", "awaiting_approval"] : [to];
}

function edges(): Edge[] {
  const statuses = Object.keys(follows) as (keyof typeof follows)[]; // A literal's own keys are all it has.
  return statuses.flatMap((from) =>
    follows[from].flatMap((type) => placesAfter(type, from).map((to) => ({ from, to, type }))),
  );
}

/** The state machine as a Mermaid diagram. What may happen in every open status is one arrow from all of them
 *  together. */
export function stateDiagram(): string {
  const all = edges();
  const inEvery = all.filter(
    ({ from, to, type }) =>
      from === openStatuses[0] &&
      openStatuses.every((open) =>
        all.some((edge) => edge.from === open && edge.to === to && edge.type === type),
      ),
  );
  const apart = all.filter(({ to, type }) => !inEvery.some((edge) => edge.to === to && edge.type === type));
  const isOpen = (status: string) => (openStatuses as readonly string[]).includes(status);
  const name = (status: string) => (status === "unknown" ? "[*]" : status);
  const arrows = new Map<string, string[]>();
  for (const { from, to, type } of apart) {
    const key = `${name(from)} --> ${name(to)}`;
    arrows.set(key, [...(arrows.get(key) ?? []), type]);
  }
  const line = ([arrow, types]: [string, string[]]) => `${arrow}: ${types.join(", ")}`;
  const inside = ([arrow]: [string, string[]]) => arrow.split(" --> ").every(isOpen);
  return [
    "stateDiagram-v2",
    "    state open {",
    ...[...arrows].filter(inside).map((arrow) => `        ${line(arrow)}`),
    "    }",
    ...[...arrows].filter((arrow) => !inside(arrow)).map((arrow) => `    ${line(arrow)}`),
    ...inEvery.map(({ to, type }) => `    open --> ${to}: ${type}`),
  ].join("\n");
}
