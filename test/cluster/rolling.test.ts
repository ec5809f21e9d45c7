import { expect, it } from "vitest";
import type { Client, EndpointMade } from "../support/client.ts";
import { spawnCluster } from "../support/cluster.ts";
import { openReceiver } from "../support/receiver.ts";

const WORKERS = 6;

/** Runs from beginning to end, one after the other, by clients of a balancer: a connection that died is
 *  another process's turn, with the same command id. */
function openLoad(apis: readonly Client[]) {
  const [faults, done]: [string[], string[]] = [[], []];
  const waiting = new Set<() => void>();
  let isOver = false;
  let turn = 0;

  async function insist<Body>(ask: (api: Client) => Promise<{ status: number; text: string; body: Body }>) {
    for (let tries = 0; tries < 200; tries++) {
      const api = apis[turn++ % apis.length] as Client;
      const answer = await ask(api).catch(() => undefined); // A connection that died, or is refused.
      if (!answer) continue;
      if (answer.status < 300) return answer.body;
      faults.push(`${answer.status} ${answer.text}`);
    }
    throw new Error("nobody answers");
  }
  async function work(worker: number): Promise<void> {
    for (let run = 0; !isOver; run++) {
      const id = `${worker}-${run}`;
      const { run: made } = await insist((api) => api.create({ input: { id } }, id));
      await insist((api) => api.record(made.id, ["run.started", "run.completed"], `${id}-ended`));
      done.push(made.id);
      for (const look of waiting) look();
    }
  }
  const working = Promise.all(Array.from({ length: WORKERS }, (_, worker) => work(worker)));
  return {
    faults,
    done,
    /** Resolves when so many more runs have ended. */
    async more(count: number): Promise<void> {
      const until = done.length + count;
      await new Promise<void>((resolve) => {
        const look = () => {
          if (done.length < until) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
      });
    },
    async end(): Promise<void> {
      isOver = true;
      await working;
    },
  };
}

it("a rolling restart under load loses nothing, doubles nothing, and answers no 5xx", async () => {
  const cluster = await spawnCluster<"one" | "two" | "first" | "second" | "views">({
    processes: { one: "api", two: "api", first: "dispatcher", second: "dispatcher", views: "projector" },
  });
  const { one, two, first, second, views } = cluster;
  const receiver = await openReceiver();
  await one.post<EndpointMade>("/v1/webhook-endpoints", { url: receiver.url });
  const load = openLoad([one, two]);
  await load.more(30);
  for (const process of [one, first, two, second, views]) {
    expect(await process.kill("SIGTERM")).toBe(0);
    await load.more(10); // While it is away.
    await process.restart();
    await load.more(10);
  }
  await load.end();

  expect(load.faults).toEqual([]);
  const runs = load.done.length;
  const events = await one.events();
  const created = events.filter(({ type }) => type === "run.created");
  expect(created.map(({ stream }) => stream)).toHaveLength(runs);
  expect(events.filter(({ type }) => type === "run.completed")).toHaveLength(runs);
  expect(new Set(load.done).size).toBe(runs);
  await receiver.until(runs);
  await one.untilEvents("&type=delivery.responded", ({ length }) => length === runs);
  expect(receiver.received).toHaveLength(runs);
  expect(new Set(receiver.received.map(({ body }) => body.data.run.id))).toEqual(new Set(load.done));
}, 120_000);
