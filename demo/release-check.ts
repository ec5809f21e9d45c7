import { createRequire } from "node:module";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Api } from "./api.ts";
import { tell } from "./messages.ts";
import { openWork, type Work } from "./work.ts";

type Feed = {
  items: { type: string; stream: string; data: { input?: { version?: string } } }[];
  next: string;
};

const repository = fileURLToPath(new URL("..", import.meta.url));
const installed = createRequire(import.meta.url);
/** A program of an installed package, as a path inside the repository. */
const program = (name: string, ...path: string[]): string =>
  relative(repository, join(installed.resolve(`${name}/package.json`), "..", ...path));

/** Waits for the answer of whoever was woken by the webhook: a long poll on the feed, never a busy loop. */
async function waitForInput(api: Api, runId: string, position: string): Promise<string> {
  for (let after = position; ; ) {
    const feed: Feed = await api.get(`/v1/events?after=${after}&wait=10&type=run.input_given`);
    const given = feed.items.find(({ stream }) => stream === runId);
    if (given) return given.data.input?.version ?? "";
    after = feed.next;
  }
}

/** The checks before a release of this very repository, one after another; the first that fails for good
 *  ends the run. */
async function check(work: Work, folder: string): Promise<boolean> {
  const checks: [string, string, string[], number][] = [
    ["type-check", "tsc", [program("typescript", "bin", "tsc")], 1],
    ["lint", "biome", [program("@biomejs/biome", "bin", "biome"), "check", "."], 1],
    ["list-files", "script", ["demo/flaky.ts", folder], 3],
  ];
  for (const [stepRef, stepType, args, attemptsMax] of checks) {
    const executed = await work.step(stepRef, stepType, args, { attemptsMax });
    if (executed.ok) continue;
    const { error } = executed;
    await work.report({ type: "run.failed", data: { reason: "check_failed", error } });
    tell({ kind: "said", text: `producer: ${stepRef} failed: ${error.message}` });
    return false;
  }
  return true;
}

/** The first run: real checks as steps, then a question that only somebody else can answer. */
export async function releaseCheck(api: Api, folder: string): Promise<void> {
  const workflow = "release-check";
  const commandId = `${workflow}.${crypto.randomUUID()}`;
  const { run } = await api.post<{ run: { id: string } }>(
    "/v1/runs",
    { workflow, input: { of: "." } },
    commandId,
  );
  tell({ kind: "created", workflow, runId: run.id, recipientRuns: [] });
  const work = openWork(api, run.id);
  await work.report({ type: "run.started" });
  if (!(await check(work, folder))) return;
  const prompt = "All checks pass. Which version is it?";
  const [asked] = await work.report({ type: "run.awaiting_input", data: { prompt } });
  const version = await waitForInput(api, run.id, asked?.position ?? "0");
  await work.report({ type: "run.completed", data: { output: { version } } });
}
