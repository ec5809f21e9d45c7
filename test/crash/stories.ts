import type { Created, EventJson, RecordedAnswer } from "../support/client.ts";
import type { Book } from "./book.ts";

/** What a producer needs: the book it writes in, its own chance, and names that nobody else uses. */
export type Producer = { book: Book; random: () => number; name: string };
export type BatchAnswer = { items: { outcome: string; id: string; runId: string; position: string }[] };

/** Goes on with one story after the other until it is told to stop; the last one is told to its end. */
export async function produce(producer: Producer, stopping: AbortSignal): Promise<void> {
  for (let number = 0; !stopping.aborted; number++) {
    const story = stories[Math.floor(producer.random() * stories.length)];
    await story?.({ ...producer, name: `${producer.name}.${number}` });
  }
}

type Happened = { type: string; data?: object };

/** Records under ids that follow from the story's name. */
function storyTeller({ book, name }: Producer) {
  let commands = 0;
  const nextId = () => `${name}.${commands++}`;
  return {
    create: (body: object) => book.send<Created>("/v1/runs", { workflow: "crash", ...body }, nextId()),
    record: (runId: string, ...happened: Happened[]) =>
      book.send<RecordedAnswer>(
        `/v1/runs/${runId}/events`,
        happened.length === 1 ? happened[0] : happened,
        nextId(),
      ),
    /** Each item has an id of its own. */
    batch: (items: object[]) =>
      book.send<BatchAnswer>(
        "/v1/events",
        items.map((item) => ({ id: nextId(), ...item })),
      ),
    nextId,
  };
}

const ends = (random: () => number): Happened =>
  random() < 0.7
    ? { type: "run.completed", data: { output: { took: random() } } }
    : { type: "run.failed", data: { reason: "out_of_boxes", error: { message: "no boxes left: ¬☐" } } };

/** A run with steps that fail and are tried again, and perhaps a question. */
async function aRun(producer: Producer): Promise<void> {
  const { book, random } = producer;
  const { create, record } = storyTeller(producer);
  const { run } = await create({ input: { text: "ünïcödé ".repeat(1 + random() * 9), random: random() } });
  const stepRef = "pack";
  await record(run.id, { type: "run.started" }, { type: "step.started", data: { stepRef } });
  if (random() < 0.5) {
    const error = { message: `the lid is missing, ${random()}` };
    await record(run.id, { type: "step.failed", data: { stepRef, error } });
    await record(run.id, { type: "step.started", data: { stepRef } });
  }
  await record(run.id, { type: "step.completed", data: { stepRef, result: { boxes: random() } } });
  if (random() < 0.5) {
    await record(run.id, { type: "run.awaiting_input", data: { prompt: "Which colour?" } });
    const { items } = await book.read<{ items: EventJson[] }>(`/v1/runs/${run.id}/events`);
    const { waitId } = items.at(-1)?.data ?? {};
    await record(run.id, { type: "run.input_given", data: { waitId, input: "blue" } });
  }
  await record(run.id, ends(random));
}

/** A run with five recipients, who end in their own ways. */
async function aFanOut(producer: Producer): Promise<void> {
  const { random } = producer;
  const { create, record, batch } = storyTeller(producer);
  const recipients = Array.from({ length: 5 }, (_, index) => `recipient-${index}`);
  const { recipientRuns } = await create({ recipients });
  await batch(recipientRuns.map(({ id: runId }) => ({ runId, type: "run.started" })));
  for (const { id } of recipientRuns.slice(0, 2)) await record(id, ends(random));
  await batch(recipientRuns.slice(2).map(({ id: runId }) => ({ runId, ...ends(random) })));
}

/** A run whose recipients hear that it is to end: two have begun, the others never will. */
async function aCancelledFanOut(producer: Producer): Promise<void> {
  const { create, record, batch } = storyTeller(producer);
  const { run, recipientRuns } = await create({ recipients: ["ada", "ben", "chloe", "dev"] });
  const begun = recipientRuns.slice(0, 2);
  await batch(begun.map(({ id: runId }) => ({ runId, type: "run.started" })));
  await record(run.id, { type: "run.cancel_requested", data: { reason: "changed_mind" } });
  for (const { id } of begun) await record(id, { type: "run.cancelled" });
}

/** Whole runs in one request: created, begun and ended under keys of the producer's own. */
async function aBatch(producer: Producer): Promise<void> {
  const { batch, nextId } = storyTeller(producer);
  const runs = Array.from({ length: 4 }, () => nextId());
  await batch(
    runs.flatMap((runKey) => [
      { id: runKey, type: "run.created", data: { workflow: "crash", input: { runKey } } },
      { runKey, type: "run.started" },
      { runKey, type: "step.skipped", data: { stepRef: "label", reason: "not_needed" } },
      { runKey, ...ends(producer.random) },
    ]),
  );
}

const stories = [aRun, aRun, aFanOut, aBatch, aCancelledFanOut];
