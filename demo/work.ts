import type { Api } from "./api.ts";
import { type Executed, execute } from "./execute.ts";
import { tell } from "./messages.ts";

export type Event = { type: string; data?: Record<string, unknown> };
type Answer = { events: { id: string; type: string; revision: number; position: string }[] };

/** A run that this process executes: what it does is reported, in order, each report under an id of its
 *  own. */
export type Work = {
  runId: string;
  report(...events: Event[]): Promise<Answer["events"]>;
  /** Executes a step until it succeeds, at most so often. */
  step(stepRef: string, stepType: string, args: readonly string[], more?: StepOptions): Promise<Executed>;
};

type StepOptions = { attemptsMax?: number; beforeAttempt?: (attempt: number) => Promise<void> };

const commandLine = (args: readonly string[]): string => ["node", ...args].join(" ");

export function openWork(api: Api, runId: string): Work {
  let reports = 0;

  async function report(...events: Event[]): Promise<Answer["events"]> {
    const [only] = events;
    const body = events.length === 1 ? only : events;
    const answer = await api.post<Answer>(`/v1/runs/${runId}/events`, body, `${runId}.${++reports}`);
    for (const { id, type, revision } of answer.events)
      tell({ kind: "acknowledged", runId, id, type, revision });
    return answer.events;
  }

  async function step(stepRef: string, stepType: string, args: readonly string[], more: StepOptions = {}) {
    const { attemptsMax = 1, beforeAttempt } = more;
    for (let attempt = 1; ; attempt++) {
      await beforeAttempt?.(attempt);
      const command = { command: commandLine(args) };
      await report({ type: "step.started", data: { stepRef, stepType, attempt, arguments: command } });
      const executed = await execute(args);
      if (executed.ok) {
        const result = { output: executed.output.slice(-200) };
        await report({ type: "step.completed", data: { stepRef, attempt, result } });
        return executed;
      }
      await report({ type: "step.failed", data: { stepRef, attempt, error: executed.error } });
      if (attempt === attemptsMax) return executed;
    }
  }

  return { runId, report, step };
}
