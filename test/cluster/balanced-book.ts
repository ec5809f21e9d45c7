import { setTimeout as pause } from "node:timers/promises";
import type { Book, Sent } from "../crash/book.ts";
import type { Client, Reply } from "../support/client.ts";

export type BalancedBook = ReturnType<typeof openBalancedBook>;

type Options = {
  /** What may be answered while a server is away: it is asked again. Nothing by default. */
  mayAnswer?: (reply: Reply<unknown>) => boolean;
};

/** Between two tries where nobody answered: a client that asks at once is no load but a storm. */
const AGAIN_MS = 20;

/** What producers keep of their commands behind a balancer: each goes to the next of several processes, and
 *  when its connection dies, again under the same id to the one after it. */
export function openBalancedBook(apis: readonly Client[], { mayAnswer = () => false }: Options = {}) {
  const sent: Sent[] = [];
  const unexpected: Reply<unknown>[] = [];
  /** What was answered instead of doing it, as often as it was. */
  const refused: Reply<unknown>[] = [];
  const waiting = new Set<() => void>();
  let turn = 0;
  let answered = 0;

  async function untilAnswered<Body>(
    ask: (api: Client) => Promise<Reply<Body>>,
    lose: () => void,
  ): Promise<Reply<Body>> {
    for (;;) {
      const api = apis[turn++ % apis.length] as Client; // There is one at least.
      const reply = await ask(api).catch(lose);
      if (reply && reply.status < 300) return reply;
      if (reply && !mayAnswer(reply)) {
        unexpected.push(reply);
        throw new Error(`${reply.status}: ${reply.text}`);
      }
      if (reply) refused.push(reply);
      await pause(AGAIN_MS);
    }
  }

  const book: Book = {
    sent,
    unexpected,
    up() {},
    down() {},
    async more(count) {
      const enough = answered + count;
      while (answered < enough) await new Promise<void>((resolve) => waiting.add(resolve));
    },
    async send<Body>(path: string, body: unknown, commandId?: string): Promise<Body> {
      const command: Sent = { path, body, commandId, lost: 0 };
      sent.push(command);
      const reply = await untilAnswered(
        ({ post }) => post<Body>(path, body, headers(command)),
        () => void command.lost++,
      );
      command.answer = reply;
      answered++;
      for (const look of waiting) look();
      waiting.clear();
      return reply.body;
    },
    async read<Body>(path: string): Promise<Body> {
      const reply = await untilAnswered(
        ({ get }) => get<Body>(path),
        () => {},
      );
      return reply.body;
    },
    again: (command) =>
      untilAnswered(
        ({ post }) => post<unknown>(command.path, command.body, headers(command)),
        () => {},
      ),
  };
  return { ...book, refused };
}

const headers = ({ commandId }: Sent) =>
  commandId === undefined ? {} : { headers: { "Idempotency-Key": commandId } };
