import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { EventStoreDBClient, jsonEvent, streamNameFilter } from "@eventstore/db-client";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { openStoredFile } from "../support/eventstoredb/stored-file.ts";
import { openStoredStreams } from "../support/eventstoredb/stored-streams.ts";
import { startEventStoreDb } from "../support/servers/eventstoredb.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

// Faults are asked of a server of one's own, which no real one would grant.
async function open(options: { keeps?: boolean } = {}) {
  const server = await startEventStoreDb(options);
  onTestFinished(() => server.stop());
  return { server, client: connect(server.address) };
}

function connect(address: string) {
  const client = EventStoreDBClient.connectionString(address);
  onTestFinished(() => client.dispose());
  return client;
}

const leader = { requiresLeader: true };
const event = (id: string = randomUUID()) => jsonEvent({ id, type: "test.said", data: {} });

/** How many events a stream has. */
async function countIn(client: EventStoreDBClient, stream: string): Promise<number> {
  let count = 0;
  for await (const _ of client.readStream(stream)) count++;
  return count;
}

describe("a lost answer", () => {
  it.each([
    { how: "unavailable", type: "unavailable" },
    { how: "cancelled", type: "cancelled" },
  ] as const)("is an error that is $type, of an append that was stored", async ({ how, type }) => {
    const { server, client } = await open();
    const known = event();
    await server.loseAnswers({ times: 2, how });
    const asked = () => client.appendToStream("a", known, { expectedRevision: "no_stream" });
    await expect(asked()).rejects.toMatchObject({ type });
    await expect(asked()).rejects.toMatchObject({ type });
    expect(await asked()).toMatchObject({ success: true, nextExpectedRevision: 0n });
    expect(await countIn(client, "a")).toBe(1);
    expect(await server.counts()).toMatchObject({ appends: 3, stored: 1, known: 2, refused: 0 });
  });

  it("may never come at all", async () => {
    const { server, client } = await open();
    await client.appendToStream("a", event()); // Only over an open connection appends go in their order.
    await server.loseAnswers();
    let isAnswered = false;
    const answered = () => {
      isAnswered = true;
    };
    client.appendToStream("a", event()).then(answered, answered);
    await client.appendToStream("a", event());
    expect(isAnswered).toBe(false);
    expect(await countIn(client, "a")).toBe(3);
  });

  it("of a call of its own is lost as well", async () => {
    const { server, client } = await open();
    const credentials = { username: "admin", password: "changeit" };
    await server.loseAnswers({ how: "unavailable" });
    const asked = client.appendToStream("a", event(), { credentials });
    await expect(asked).rejects.toMatchObject({ type: "unavailable" });
    expect(await countIn(client, "a")).toBe(1);
  });
});

describe("a server that fails", () => {
  it("before it stores anything has stored nothing", async () => {
    const { server, client } = await open();
    await server.failAppends({ how: "cancelled" });
    await expect(client.appendToStream("a", event())).rejects.toMatchObject({ type: "cancelled" });
    await expect(countIn(client, "a")).rejects.toMatchObject({ type: "stream-not-found" });
  });

  it("can fail reads alone", async () => {
    const { server, client } = await open();
    await client.appendToStream("a", event());
    await server.failReads();
    await expect(countIn(client, "a")).rejects.toMatchObject({ type: "unavailable" });
    expect(await countIn(client, "a")).toBe(1);
  });

  it("answers what it held when it is released", async () => {
    const { server, client } = await open();
    await client.appendToStream("a", event());
    await server.holdAnswers();
    const answers = [client.appendToStream("a", event()), client.appendToStream("a", event())];
    await vi.waitFor(async () => expect(await server.counts()).toMatchObject({ held: 2, stored: 3 }));
    await server.releaseAnswers();
    expect((await Promise.all(answers)).map((answer) => answer.nextExpectedRevision)).toEqual([1n, 2n]);
  });

  it("does not say where it stored something, in either of two ways", async () => {
    const { server, client } = await open();
    await server.hidePositions();
    expect((await client.appendToStream("a", event())).position).toBeUndefined();
    await server.hidePositions({ position: "negative" });
    const { position } = await client.appendToStream("a", event());
    expect(BigInt.asIntN(64, position?.commit ?? 0n)).toBe(-1n);
    expect((await client.appendToStream("a", event())).position?.commit).toBeGreaterThan(0n);
  });

  it("writes events of its own between ours", async () => {
    const { server, client } = await open();
    await client.appendToStream("a", event());
    await server.writeStatistics();
    await client.appendToStream("a", event());
    const types: (string | undefined)[] = [];
    for await (const { event } of client.readAll({
      direction: "backwards",
      fromPosition: "end",
      maxCount: 3,
    }))
      types.push(event?.type);
    expect(types).toEqual(["test.said", "$statsCollected", "test.said"]);
  });
});

describe("a server that is not the leader", () => {
  it("names the leader, where the client goes on", async () => {
    const { server, client } = await open();
    const { server: other } = await open();
    await server.follow({ port: other.port });
    const refused = client.appendToStream("a", event(), leader);
    await expect(refused).rejects.toMatchObject({
      type: "not-leader",
      leader: { address: "127.0.0.1", port: other.port },
    });
    await client.appendToStream("a", event(), leader);
    expect(await other.counts()).toMatchObject({ stored: 1 });
    expect(await server.counts()).toMatchObject({ stored: 0 });
  });

  it("refuses reads and subscriptions of the leader, and answers those who do not mind", async () => {
    const { server, client } = await open();
    await client.appendToStream("a", event());
    await server.follow({ port: server.port });
    expect(await countIn(client, "a")).toBe(1);
    const [failed] = await once(
      client.subscribeToAll(leader).on("data", () => {}),
      "error",
    );
    expect(failed).toMatchObject({ type: "not-leader" });
    await server.lead();
    await once(
      client.subscribeToAll(leader).on("data", () => {}),
      "caughtUp",
    );
  });

  it("is told from the leader by a client that asks all nodes", async () => {
    const { server } = await open();
    const { server: other } = await open();
    await server.follow({ port: other.port });
    const nodes = `127.0.0.1:${server.port},127.0.0.1:${other.port}`;
    await connect(`esdb://${nodes}?tls=false&nodePreference=leader`).appendToStream("a", event(), leader);
    expect(await other.counts()).toMatchObject({ stored: 1 });
  });
});

describe("a subscription that is dropped", () => {
  it.each(["cancelled", "unavailable"] as const)("ends with an error that is %s", async (how) => {
    const { server, client } = await open();
    const filter = streamNameFilter({ prefixes: ["a"] });
    const subscriptions = [client.subscribeToAll({ filter }), client.subscribeToStream("a")];
    const errors = subscriptions.map((each) =>
      once(
        each.on("data", () => {}),
        "error",
      ),
    );
    await Promise.all(subscriptions.map((each) => once(each, "caughtUp")));
    expect(await server.counts()).toMatchObject({ openSubscriptions: 2 });
    await server.dropSubscriptions(how);
    for (const [error] of await Promise.all(errors)) expect(error).toMatchObject({ type: how });
    expect(await server.counts()).toMatchObject({ openSubscriptions: 0 });
  });

  it("is forgotten when its client leaves it", async () => {
    const { server, client } = await open();
    const subscription = client.subscribeToAll();
    await once(
      subscription.on("data", () => {}),
      "caughtUp",
    );
    await subscription.unsubscribe();
    await vi.waitFor(async () => expect(await server.counts()).toMatchObject({ openSubscriptions: 0 }));
  });
});

describe("a server that goes away", () => {
  it("comes back at the same place with everything it had", async () => {
    const { server, client } = await open();
    await client.appendToStream("a", event());
    await server.stopListening();
    await expect(client.appendToStream("a", event())).rejects.toMatchObject({ code: 14 });
    await server.listen();
    await vi.waitFor(() => client.appendToStream("a", event(), { expectedRevision: 0n }), 5000);
    expect(await countIn(client, "a")).toBe(2);
  });

  it("ends what was in flight", async () => {
    const { server, client } = await open();
    const subscription = client.subscribeToAll().on("data", () => {});
    await once(subscription, "caughtUp");
    await server.holdAnswers();
    const inFlight = client.appendToStream("a", event()).catch((error) => error.type);
    await vi.waitFor(async () => expect(await server.counts()).toMatchObject({ held: 1 }));
    const dropped = once(subscription, "error");
    await server.stopListening();
    expect(["unavailable", "cancelled"]).toContain(await inFlight);
    await dropped;
  });

  it("keeps what it has in a file, where that is asked for, and goes on after it", async () => {
    const { server, client } = await open({ keeps: true });
    const known = event();
    const first = await client.appendToStream("a", [known, event()], { expectedRevision: "no_stream" });
    await server.kill();
    await server.restart();
    const after = connect(server.address);
    expect(await countIn(after, "a")).toBe(2);
    const second = await after.appendToStream("a", event(), { expectedRevision: 1n });
    expect(second.position?.commit).toBeGreaterThan(first.position?.commit ?? 0n);
    expect(await after.appendToStream("a", known)).toMatchObject({ nextExpectedRevision: 0n });
  });

  it("has lost everything after a restart, where it keeps nothing", async () => {
    const { server, client } = await open();
    await client.appendToStream("a", event());
    await server.restart();
    await expect(countIn(connect(server.address), "a")).rejects.toMatchObject({ type: "stream-not-found" });
  });

  it("hangs until it goes on, and stores nothing whose time has passed", async () => {
    const { server, client } = await open();
    await client.appendToStream("a", event());
    server.stall();
    const late = client.appendToStream("a", event(), { deadline: 1 });
    const waits = client.appendToStream("a", event());
    late.catch(() => {});
    setTimeout(() => server.resume(), 50); // What was sent to it meanwhile has a deadline in the past.
    await expect(late).rejects.toMatchObject({ type: "deadline-exceeded" });
    expect(await waits).toMatchObject({ nextExpectedRevision: 1n });
  });
});

it("drops an append whose end is missing in its file, whole, and stores on after it", () => {
  const path = join(temporaryFolder(), "events");
  const file = openStoredFile(path);
  const store = openStoredStreams({ keep: file.keep });
  const proposed = (type: string) => {
    const bytes = { data: Buffer.from(type), metadata: Buffer.alloc(0) };
    return { id: randomUUID(), type, contentType: "application/octet-stream", ...bytes };
  };
  store.append("a", -1, [proposed("one")]);
  store.append("a", 0, [proposed("two"), proposed("three")]);
  const whole = openStoredFile(path);
  expect([...whole.read()]).toEqual(store.all);
  truncateSync(path, statSync(path).size - 1);
  const cut = openStoredFile(path);
  expect([...cut.read()].map(({ type }) => type)).toEqual(["one"]);
  openStoredStreams({ keep: cut.keep }).append("a", -1, [proposed("four")]);
  expect([...openStoredFile(path).read()].map(({ type }) => type)).toEqual(["one", "four"]);
});

it("asks a place where no event begins, and is refused", async () => {
  const { client } = await open();
  const { position } = await client.appendToStream("a", event());
  if (!position) throw new Error("it was stored somewhere");
  const nowhere = { commit: position.commit - 1n, prepare: position.prepare - 1n };
  const asked = async () => {
    for await (const _ of client.readAll({ fromPosition: nowhere }));
  };
  await expect(asked()).rejects.toMatchObject({ type: "unknown" });
});
