import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

/** One request as it came in: the raw bytes, and what they say. */
export type Received = {
  id: string;
  path: string;
  headers: Readonly<Record<string, string>>;
  raw: Buffer;
  body: WebhookBody;
  /** What this receiver did with it. */
  answered: Answer;
};

export type WebhookBody = {
  id: string;
  type: string;
  timestamp: string;
  data: { run: { id: string; status: string; waits?: { waitId: string }[] } };
  ledger: { event: string; revision: number; previous: string | null; hash: string };
};

/** A status with headers and a body; never an answer; or a connection that is cut. */
export type Answer = { status: number; headers?: Record<string, string>; body?: string } | "hang" | "reset";

export type Receiver = Awaited<ReturnType<typeof openReceiver>>;

/** Somebody else's server, which hears of runs. It takes everything unless it is told otherwise. */
export async function openReceiver() {
  const received: Received[] = [];
  const hanging = new Set<ServerResponse>();
  const waiting = new Set<() => void>();
  const answers: Answer[] = [];
  let usually: (request: Omit<Received, "answered">) => Answer = () => ({ status: 204 });
  let taken = 0;

  async function take(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const request = await readRequest(req);
    const answered = answers.shift() ?? usually(request);
    received.push({ ...request, answered });
    if (answered === "hang") hanging.add(res);
    else if (answered === "reset") req.socket.destroy();
    else res.writeHead(answered.status, answered.headers).end(answered.body);
    for (const look of waiting) look();
  }

  const server = createServer((req, res) => {
    res.once("close", () => hanging.delete(res));
    // Who is killed in the middle of a request has sent nothing.
    take(req, res).catch(() => res.destroy());
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo; // It listens on TCP.

  /** Resolves as soon as this holds of what came in. */
  const when = (holds: (all: readonly Received[]) => boolean): Promise<readonly Received[]> =>
    new Promise((resolve) => {
      const look = () => {
        if (!holds(received)) return;
        waiting.delete(look);
        resolve(received);
      };
      waiting.add(look);
      look();
    });

  return {
    url: `http://127.0.0.1:${port}/hooks`,
    received,
    /** What is answered next, one after the other; then as usual again. */
    answerNext: (...next: Answer[]) => void answers.push(...next),
    /** What is answered otherwise. */
    answerUsually(answer: (request: Omit<Received, "answered">) => Answer): void {
      usually = answer;
    },
    /** Requests that have no answer. */
    hanging: () => hanging.size,
    /** Answers them. */
    release(status = 204, body?: string): void {
      for (const res of hanging) res.writeHead(status).end(body);
    },
    when,
    /** The first that many. */
    until: (count: number) => when((all) => all.length >= count),
    /** The next that nobody has asked for yet. */
    async next(): Promise<Received> {
      const index = taken++;
      const all = await when(({ length }) => length > index);
      return all[index] as Received; // There are more than `index`.
    },
  };
}

async function readRequest(req: IncomingMessage): Promise<Omit<Received, "answered">> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk);
  const raw = Buffer.concat(chunks);
  const headers = Object.fromEntries(
    Object.entries(req.headers).map(([name, value]) => [name, String(value)]),
  );
  // The door from HTTP: what the body is stands in the tests.
  const body = JSON.parse(raw.toString("utf8")) as WebhookBody;
  return { id: headers["webhook-id"] ?? "", path: req.url ?? "", headers, raw, body };
}
