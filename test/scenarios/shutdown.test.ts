import { connect } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import type { DeliveryJson, EndpointMade, Page } from "../support/client.ts";
import { manualClock } from "../support/manual-clock.ts";
import { openTestServer } from "../support/open-server.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { type SpawnedServer, spawnServer } from "../support/spawn-server.ts";

/** A request that has surely reached the server: it has said that it may go on. */
async function admitted(server: { url: string; key: string }, request: string, ...headers: string[]) {
  const socket = connect(Number(new URL(server.url).port), "127.0.0.1").setEncoding("utf8");
  onTestFinished(() => void socket.destroy());
  let heard = "";
  socket.on("data", (text: string) => {
    heard += text;
  });
  const closed = new Promise<string>((resolve) => socket.once("close", () => resolve(heard)));
  const continued = new Promise<void>((resolve) => socket.once("data", () => resolve()));
  const common = ["Host: 127.0.0.1", `Authorization: Bearer ${server.key}`, "Expect: 100-continue"];
  socket.write(`${[`${request} HTTP/1.1`, ...common, ...headers].join("\r\n")}\r\n\r\n`);
  await continued;
  return {
    write: (text: string) => void socket.write(text),
    /** All that was heard, once the server has closed the connection. */
    closed,
  };
}

/** Asks for events that never come: answered at once by a server that begins to stop. */
const waiting = (server: SpawnedServer) => admitted(server, "GET /v1/events?type=refusal.suppressed&wait=30");

/** A server with a webhook under way whose receiver does not answer. */
async function sending(env: Record<string, string> = {}) {
  const [server, receiver] = [await spawnServer({ env }), await openReceiver()];
  await server.post<EndpointMade>("/v1/webhook-endpoints", { url: receiver.url });
  const { body } = await server.create({});
  receiver.answerNext("hang");
  await server.record(body.run.id, ["run.started", "run.completed"]);
  const { id } = await receiver.next();
  return { server, receiver, id };
}

const stateOf = async (server: SpawnedServer, id: string) =>
  (await server.get<Page<DeliveryJson>>("/v1/deliveries")).body.items.find((each) => each.id === id);

describe("a server that is asked to stop", () => {
  it("finishes what it has begun, and then ends well", async () => {
    const { server, receiver, id } = await sending();
    const body = JSON.stringify({ workflow: "half-sent" });
    const type = "Content-Type: application/json";
    const request = await admitted(server, "POST /v1/runs", type, `Content-Length: ${body.length}`);
    request.write(body.slice(0, 10));
    const reading = await waiting(server);
    server.signal("SIGTERM");
    expect(await reading.closed).toMatch(
      /^HTTP\/1.1 100 .*HTTP\/1.1 200 .*\r\nConnection: close\r\n.*"items":\[\]/s,
    );
    request.write(body.slice(10));
    expect(await request.closed).toMatch(/^HTTP\/1.1 100 .*HTTP\/1.1 201 .*"workflow":"half-sent"/s);
    receiver.release();
    expect(await server.exited()).toBe(0);
    expect(server.stderr()).toBe("");

    await server.restart();
    const { body: list } = await server.get<Page<{ workflow: string }>>("/v1/runs");
    expect(list.items[0]?.workflow).toBe("half-sent");
    expect(await stateOf(server, id)).toMatchObject({ status: "delivered", attempt: 1 });
    expect(receiver.received).toHaveLength(1);
  });

  it("takes no new connection meanwhile", async () => {
    const { server, receiver } = await sending();
    const reading = await waiting(server);
    server.signal("SIGTERM");
    await reading.closed;
    await expect(fetch(`${server.url}/healthz`)).rejects.toThrow("fetch failed");
    receiver.release();
    expect(await server.exited()).toBe(0);
  });

  it("cuts what does not end in time; that webhook's outcome is unknown, and it is sent again", async () => {
    const { server, receiver, id } = await sending({ RUNLEDGER_SHUTDOWN_MS: "200" });
    expect(await server.kill("SIGTERM")).toBe(0);
    expect(receiver.received).toHaveLength(1);
    await server.restart();
    const again = await receiver.next();
    expect([again.id, again.raw]).toEqual([id, receiver.received[0]?.raw]);
    await server.untilEvents("&type=delivery.responded", ({ length }) => length === 1);
    const { body } = await server.get<DeliveryJson>(`/v1/deliveries/${id}`);
    expect(body.attempts).toMatchObject([
      { attempt: 1, scheduleStep: 0, outcome: "unknown" },
      { attempt: 2, scheduleStep: 0, outcome: "delivered" },
    ]);
  });

  it("gives requests and webhooks the same time, and not one after the other", async () => {
    const clock = manualClock(Date.now());
    const [server, receiver] = [await openTestServer({ clock }), await openReceiver()];
    await server.post<EndpointMade>("/v1/webhook-endpoints", { url: receiver.url });
    const { body } = await server.create({});
    receiver.answerNext("hang");
    await server.record(body.run.id, ["run.started", "run.completed"]);
    await receiver.next();
    const length = "Content-Length: 100";
    const request = await admitted(server, "POST /v1/runs", "Content-Type: application/json", length);
    const stopped = server.stop();
    await clock.advance(1000);
    await stopped;
    expect(await request.closed).toMatch(/^HTTP\/1.1 100 /);
    expect(server.fatal).toEqual([]);
  });

  it("stops too when it was still starting", async () => {
    const server = await spawnServer();
    await server.kill();
    server.start();
    await server.begun();
    expect(await server.kill("SIGTERM")).toBe(0);
  });

  it("ends at once when it is asked a second time", async () => {
    const { server, receiver } = await sending({ RUNLEDGER_SHUTDOWN_MS: "86400000" });
    const reading = await waiting(server);
    server.signal("SIGTERM");
    await reading.closed;
    expect(await server.kill("SIGINT")).toBe(1);
    expect(hangs(receiver)).toBe(true);
  });

  it.each(["SIGTERM", "SIGINT"] as const)("ends well by %s where there is nothing to do", async (signal) => {
    const server = await spawnServer();
    expect(await server.kill(signal)).toBe(0);
  });
});

const hangs = ({ received }: Receiver): boolean => received.length === 1 && received[0]?.answered === "hang";
