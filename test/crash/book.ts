import type { Client, Reply } from "../support/client.ts";

/** A command as it was sent, and what was answered in the end. */
export type Sent = {
  path: string;
  body: unknown;
  commandId: string | undefined;
  answer?: Reply<unknown>;
  /** How often it was sent without an answer. */
  lost: number;
};

/** Numbers from 0 to 1 that follow from a seed alone (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export type Book = ReturnType<typeof openBook>;

/** What producers keep of their commands: each is sent under the same id until it is answered, however
 *  often the server goes. */
export function openBook({ post, get }: Client) {
  const sent: Sent[] = [];
  const unexpected: Reply<unknown>[] = [];
  let up = Promise.withResolvers<void>();
  let isUp = false;
  let answered = 0;
  let watching: { count: number; resolve: () => void } | undefined;

  async function untilAnswered<Body>(
    ask: () => Promise<Reply<Body>>,
    lose: () => void,
  ): Promise<Reply<Body>> {
    for (;;) {
      await up.promise;
      try {
        const reply = await ask();
        if (reply.status < 300) return reply;
        unexpected.push(reply);
        throw new Error(`${reply.status}: ${reply.text}`);
      } catch (error) {
        if (unexpected.length > 0) throw error;
        lose();
      }
    }
  }

  return {
    sent,
    /** Answers that no command here should have. */
    unexpected,
    up(): void {
      isUp = true;
      up.resolve();
    },
    down(): void {
      if (isUp) up = Promise.withResolvers<void>();
      isUp = false;
    },
    /** Resolves when so many more commands have been answered. */
    more: (count: number): Promise<void> =>
      new Promise((resolve) => {
        watching = { count: answered + count, resolve };
      }),
    async send<Body>(path: string, body: unknown, commandId?: string): Promise<Body> {
      const command: Sent = { path, body, commandId, lost: 0 };
      sent.push(command);
      const reply = await untilAnswered(
        () => post<Body>(path, body, headers(command)),
        () => command.lost++,
      );
      command.answer = reply;
      answered++;
      if (watching && answered >= watching.count) watching.resolve();
      return reply.body;
    },
    async read<Body>(path: string): Promise<Body> {
      return (
        await untilAnswered(
          () => get<Body>(path),
          () => {},
        )
      ).body;
    },
    /** Sends a command again that was answered before. */
    again: (command: Sent) => post<unknown>(command.path, command.body, headers(command)),
  };
}

const headers = ({ commandId }: Sent) =>
  commandId === undefined ? {} : { headers: { "Idempotency-Key": commandId } };
