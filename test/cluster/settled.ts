import { expect } from "vitest";
import type { Book } from "../crash/book.ts";
import { randomFrom } from "../crash/book.ts";
import {
  checkAcknowledged,
  checkDeliveries,
  type Endpoint,
  openRuns,
  owed,
  readLog,
} from "../crash/checks.ts";
import { produce } from "../crash/stories.ts";
import type { Client, EndpointMade } from "../support/client.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { runProgram } from "../support/run-program.ts";
import type { SpawnedServer } from "../support/spawn-server.ts";
import { dumpSchema } from "../support/views.ts";

const PRODUCERS = 3;

/** A receiver that takes everything, and an endpoint that hears of every run. */
export async function openHearing(api: Client): Promise<{ receiver: Receiver; endpoints: Endpoint[] }> {
  const receiver = await openReceiver();
  const asked = { url: receiver.url, recipientRuns: true };
  const { status, body } = await api.post<EndpointMade>("/v1/webhook-endpoints", asked);
  expect(status).toBe(201);
  return { receiver, endpoints: [{ id: body.endpoint.id, recipientRuns: true }] };
}

/** Runs something while producers tell their stories, and until those have been told to their ends. */
export async function underLoad<T>(book: Book, work: () => Promise<T>): Promise<T> {
  const stopping = new AbortController();
  const producers = Array.from({ length: PRODUCERS }, (_, index) =>
    produce({ book, random: randomFrom(index + 1), name: `producer-${index}` }, stopping.signal),
  );
  const failed = Promise.all(producers).then(() => new Promise<never>(() => {}));
  try {
    return await Promise.race([work(), failed]);
  } finally {
    stopping.abort();
    await Promise.all(producers);
  }
}

type Heard = { receiver: Receiver; endpoints: readonly Endpoint[] };

/** Waits until every run has ended and every webhook was delivered. Then nothing is missing: everything that
 *  was acknowledged is there once, each webhook arrived, and twice only where somebody `vanished`. */
export async function expectSettled(
  api: Client,
  book: Book,
  { receiver, endpoints }: Heard,
  vanishedAtMs: readonly number[] = [],
) {
  const { body: health } = await api.get<{ ledger: string }>("/healthz");
  for (;;) {
    // What comes while the log is read is not waited for again.
    const { body: before } = await api.get<{ head: string }>("/readyz");
    const log = await readLog(api);
    const owing = owed(health.ledger, log, endpoints);
    const delivered = log.attempts.filter(({ data }) => data.outcome === "delivered").length;
    if (openRuns(log.runs).length === 0 && delivered >= owing.size) {
      checkAcknowledged(book, log);
      const told = checkDeliveries(owing, log, receiver, vanishedAtMs);
      expect(told.arrived).toBe(owing.size);
      return { log, ...told };
    }
    await api.untilEvents(
      "&type=run.completed&type=delivery.responded&type=delivery.cancelled",
      (more) => more.length > 0,
      before.head,
    );
  }
}

/** Once all processes have ended: the log verifies, and the views are what a rebuild makes of it. */
export async function expectViewsOfLog(
  folder: string,
  env: Readonly<Record<string, string>>,
  processes: readonly SpawnedServer[],
): Promise<void> {
  await Promise.all(processes.map((each) => each.kill("SIGTERM")));
  const live = await dumpSchema(folder);
  expect(Object.values(live).flat().length).toBeGreaterThan(10);
  const [verified, rebuilt] = [
    await runProgram("services/verify.ts", { data: folder, env }),
    await runProgram("services/rebuild.ts", { data: folder, env }),
  ];
  expect(verified).toMatchObject({ code: 0, err: "" });
  expect(rebuilt).toMatchObject({ code: 0, err: "" });
  const { checkpoints: _, ...again } = await dumpSchema(folder);
  for (const [table, rows] of Object.entries(again)) expect(live[table], table).toEqual(rows);
}
