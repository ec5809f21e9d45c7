// A webhook receiver as anybody would write it: it knows nothing of the ledger's code, only Standard Webhooks
// and the API.
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { Webhook } from "standardwebhooks";
import { ordered, type ReceiverOrder, tell } from "./messages.ts";

type Wait = { waitId: string; type: string; prompt?: string };
type Recorded = { events: { id: string; type: string; revision: number }[] };
type Body = {
  id: string;
  type: string;
  data: { run: { id: string; waits: Wait[] } };
  ledger: { event: string; hash: string };
};

/** How long the receiver takes over a delivery. */
const WORK_MS = 100;

const order = ordered<ReceiverOrder>();
/** What was done or is being done, by `webhook-id`: a delivery may come twice, its work is done once. */
const works = new Map<string, Promise<boolean>>();
let deliveries = 0;

/** Answers what a run waits for, with this receiver's own key. The id of the delivery is the id of the
 *  command, so that  answering twice is answering once. */
async function answerWait({ id, data: { run } }: Body, { api, key }: ReceiverOrder): Promise<boolean> {
  const wait = run.waits.find(({ type }) => type === "input");
  if (!wait) return false;
  const answer = await fetch(`${api}/v1/runs/${run.id}/events`, {
    method: "POST",
    headers: {
      Authorization: `Bearer ${key}`,
      "Content-Type": "application/json",
      "Idempotency-Key": id,
    },
    body: JSON.stringify({
      type: "run.input_given",
      data: { waitId: wait.waitId, input: { version: "1.2.3" } },
    }),
  });
  if (!answer.ok) return false;
  const recorded = (await answer.json()) as Recorded; // As the API describes itself.
  for (const event of recorded.events) tell({ kind: "acknowledged", runId: run.id, ...event });
  tell({ kind: "said", text: `receiver: answered "${wait.prompt}" through the API` });
  return true;
}

/** The work of one delivery. When it fails it is forgotten, and the sender tries again. */
async function work(body: Body): Promise<boolean> {
  await pause(WORK_MS);
  if (body.type !== "run.awaiting_input") return true;
  return answerWait(body, await order).catch(() => false);
}

async function rawBody(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Whether the raw bytes carry a signature by our secret that is not too old. */
async function isVerified(raw: Buffer, req: IncomingMessage): Promise<boolean> {
  const { secret } = await order;
  const header = (name: string) => String(req.headers[name] ?? "");
  try {
    new Webhook(secret).verify(raw, {
      "webhook-id": header("webhook-id"),
      "webhook-timestamp": header("webhook-timestamp"),
      "webhook-signature": header("webhook-signature"),
    });
    return true;
  } catch {
    return false;
  }
}

async function receive(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const raw = await rawBody(req);
  const id = String(req.headers["webhook-id"] ?? "");
  const first = ++deliveries === 1;
  const verified = await isVerified(raw, req);
  const body: Body | undefined = verified ? JSON.parse(raw.toString("utf8")) : undefined;
  tell({
    kind: "received",
    id,
    runId: body?.data.run.id ?? "",
    type: body?.type ?? "",
    verified: verified && body?.id === id,
    sha256: createHash("sha256").update(raw).digest("hex"),
    event: body?.ledger.event ?? "",
    hash: body?.ledger.hash ?? "",
    again: works.has(id),
  });
  if (!body || first) {
    res.writeHead(body ? 503 : 401).end();
    return;
  }
  const working = works.get(id) ?? work(body);
  works.set(id, working);
  const done = await working;
  if (!done) works.delete(id);
  res.writeHead(done ? 204 : 500).end();
}

const server = createServer((req, res) => {
  receive(req, res).catch(() => res.destroy());
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo; // It listens on TCP.
  tell({ kind: "listening", url: `http://127.0.0.1:${port}/hooks` });
});
