import type { Acknowledged, Created, Received, Told } from "./messages.ts";

/** What the demo was told while it happened: what it holds the ledger to at the end. */
export type Book = {
  readonly acknowledged: readonly Acknowledged[];
  readonly received: readonly Received[];
  readonly created: readonly Created[];
  /** What the producer said of its requests at its end. */
  done: { retried: number; replayed: number } | undefined;
  receiverUrl: string | undefined;
  take(told: Told): void;
  /** Resolves as soon as this is true of the book; looks again whenever something is told. */
  until(isTrue: (book: Book) => boolean): Promise<void>;
};

/** A creation acknowledges the first event of the run, and of each of its recipient runs. */
const firstEvents = ({ runId, recipientRuns }: Created): Acknowledged[] =>
  [runId, ...recipientRuns.map(({ id }) => id)].map((id) => ({
    runId: id,
    revision: 0,
    type: "run.created",
  }));

export function openBook(say: (text: string) => void, fail: (error: Error) => void): Book {
  const acknowledged: Acknowledged[] = [];
  const received: Received[] = [];
  const created: Created[] = [];
  const waiting = new Set<() => void>();

  function write(told: Told): void {
    if (told.kind === "listening") book.receiverUrl = told.url;
    else if (told.kind === "received") received.push(told);
    else if (told.kind === "acknowledged") acknowledged.push(told);
    else if (told.kind === "done") book.done = told;
    else if (told.kind === "said") say(told.text);
    else if (told.kind === "failed") fail(new Error(told.message));
    else {
      created.push(told);
      acknowledged.push(...firstEvents(told));
    }
  }

  const book: Book = {
    acknowledged,
    received,
    created,
    done: undefined,
    receiverUrl: undefined,
    take(told) {
      write(told);
      for (const look of [...waiting]) look();
    },
    until: (isTrue) =>
      new Promise((resolve) => {
        const look = () => {
          if (!isTrue(book)) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
  };
  return book;
}
