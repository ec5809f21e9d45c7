import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Api } from "./api.ts";
import { tell } from "./messages.ts";
import { openWork } from "./work.ts";

type Made = { run: { id: string }; recipientRuns: { id: string; recipient: string }[] };

export const recipients = ["ada", "ben", "chloe", "dev", "eve"];
const ATTEMPTS_MAX = 3;
/** How many recipients are served at once. */
const WORKERS = 2;

/** Five mailboxes, of which two are broken: chloe's is not there, and in eve's a folder has the letter's
 *  name. */
async function layOut(folder: string) {
  const letter = join(folder, "letter.txt");
  const mailboxOf = (recipient: string) => join(folder, "mailboxes", recipient);
  await writeFile(letter, "Version 1.2.3 is ready.\n");
  for (const recipient of ["ada", "ben", "dev"]) await mkdir(mailboxOf(recipient), { recursive: true });
  await mkdir(join(mailboxOf("eve"), "letter.txt"), { recursive: true });
  return { letter, mailboxOf };
}

/** The second run: one letter, five recipients, each with a run of its own. */
export async function notify(api: Api, folder: string): Promise<void> {
  const workflow = "notify";
  const { letter, mailboxOf } = await layOut(folder);
  const body = { workflow, recipients, input: { letter: "letter.txt" } };
  const made = await api.post<Made>("/v1/runs", body, `${workflow}.${crypto.randomUUID()}`);
  const { run, recipientRuns } = made;
  tell({ kind: "created", workflow, runId: run.id, recipientRuns });

  async function deliver({ id, recipient }: { id: string; recipient: string }): Promise<void> {
    const work = openWork(api, id);
    const mailbox = mailboxOf(recipient);
    await work.report({ type: "run.started" });
    const repair = async (attempt: number) => {
      if (recipient !== "chloe" || attempt < ATTEMPTS_MAX) return;
      await mkdir(mailbox, { recursive: true });
      await work.report({ type: "run.noted", data: { name: "mailbox_made", outcome: "ok" } });
    };
    const args = ["demo/deliver.ts", letter, mailbox];
    const options = { attemptsMax: ATTEMPTS_MAX, beforeAttempt: repair };
    const executed = await work.step("deliver", "file", args, options);
    if (executed.ok) await work.report({ type: "run.completed", data: { output: { file: "letter.txt" } } });
    else {
      const data = { reason: "mailbox_broken", error: executed.error };
      await work.report({ type: "run.failed", data });
    }
  }

  const waiting = [...recipientRuns];
  const workers = Array.from({ length: WORKERS }, async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await deliver(next);
  });
  await Promise.all(workers);
}
