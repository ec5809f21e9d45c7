import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { verify } from "../../shared/webhooks/signature.ts";
import type { EndpointMade } from "../support/client.ts";
import { openTestServer, type TestServer } from "../support/open-server.ts";
import { openReceiver, type Received } from "../support/receiver.ts";
import { replaying } from "../support/replaying.ts";
import { runProgram } from "../support/run-program.ts";
import { spawnServer } from "../support/spawn-server.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const program = fileURLToPath(new URL("../../services/listen.ts", import.meta.url));

/** The command as a developer starts it, with what it says. */
function startListening({ url, key }: Pick<TestServer, "url" | "key">, to: string, ...args: string[]) {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("RUNLEDGER_"));
  const child = spawn(
    process.execPath,
    [program, "--to", to, "--key", key, "--url", url, "--secret", secret, ...args],
    { env: Object.fromEntries(inherited), stdio: ["ignore", "pipe", "pipe"] },
  );
  const lines: string[] = [];
  const notes: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  createInterface({ input: child.stderr }).on("line", (line) => notes.push(line));
  const ended = new Promise<number | null>((resolve) => {
    child.once("close", (code) => resolve(code));
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return {
    lines,
    notes,
    /** The lines of deliveries that were made, with their positions first. */
    told: () => lines.filter((line) => /^\d+ {2}/.test(line)),
    until: (text: string, count = 1) =>
      vi.waitUntil(() => [...lines, ...notes].filter((line) => line.includes(text)).length >= count, 10_000),
    begun: () => vi.waitUntil(() => lines.some((line) => line.startsWith("from ")), 10_000),
    async end(signal: NodeJS.Signals): Promise<number | null> {
      child.kill(signal);
      return ended;
    },
  };
}

const runsOf = (received: readonly Received[]) => received.map(({ body }) => body.data.run.id);

describe("listening", () => {
  it("posts what an endpoint would be sent, signed, and says each with the run's timeline", async () => {
    const [server, real, local] = [await openTestServer(), await openReceiver(), await openReceiver()];
    await server.post<EndpointMade>("/v1/webhook-endpoints", { url: real.url });
    const { body } = await server.create({ input: { plan: "pro" }, metadata: { a: [1.5, null, "ü"] } });
    const listening = startListening(server, local.url, "--from", "earliest");
    const asks = { type: "run.awaiting_input", data: { prompt: "Which plan?" } };
    await server.record(body.run.id, ["run.started", asks]);
    await real.until(1);
    const [asked] = await local.until(1);
    const { waits } = (await server.get(`/v1/runs/${body.run.id}`)).body as { waits: { waitId: string }[] };
    const answers = { waitId: waits[0]?.waitId, input: "pro" };
    await server.record(body.run.id, [{ type: "run.input_given", data: answers }, "run.completed"]);
    await real.until(2);
    const [, ended] = await local.until(2);
    const said = ({ raw, id }: Received) => raw.toString().replace(id, "");
    expect(local.received.map(said)).toEqual(real.received.map(said));
    for (const { raw, headers, id } of local.received) {
      const [timestamp, signature] = [headers["webhook-timestamp"], headers["webhook-signature"]];
      const nowSeconds = Date.now() / 1000;
      expect(verify([secret], { id, timestamp, signature }, raw, { nowSeconds })).toEqual({ ok: true });
      expect(id).toMatch(/^delivery_/);
    }
    expect([asked, ended].map((one) => one?.headers["ledger-position"])).toEqual(
      real.received.map(({ headers }) => headers["ledger-position"]),
    );
    await listening.until("completed +");
    expect(listening.lines[0]).toContain(secret);
    expect(listening.told()).toEqual([
      expect.stringMatching(
        /^\d+ {2}run\.awaiting_input {2}run_\w+ {2}revision 2 {2}204 delivered {2}\d+ ms$/,
      ),
      expect.stringMatching(/^\d+ {2}run\.completed {2}run_\w+ {2}revision 4 {2}204 delivered {2}\d+ ms$/),
    ]);
    const timelines = listening.lines.filter((line) => line.startsWith("    "));
    expect(timelines).toEqual([
      expect.stringMatching(/^ {4}created 2\S+Z · started \+\d+ ms · awaiting_input \+\S+ m?s$/),
      expect.stringMatching(/^ {4}input_given \+\S+ m?s · completed \+\S+ m?s$/),
    ]);
    expect(await listening.end("SIGTERM")).toBe(0);
    expect(listening.lines.at(-1)).toMatch(/^go on with --from \d+$/);
  });

  it("goes on where it was killed: nothing is left out, and what comes twice has its old id", async () => {
    const [server, local] = [await openTestServer(), await openReceiver()];
    const { endRun } = replaying(server);
    const runs: string[] = [];
    for (let count = 0; count < 8; count++) runs.push(await endRun());
    local.answerNext({ status: 200 }, { status: 200 }, { status: 200 }, "hang");
    const first = startListening(server, local.url, "--from", "earliest");
    await local.until(4); // In the middle of the fourth.
    await first.until("run.completed", 3);
    expect(await first.end("SIGKILL")).toBeNull();
    const position = first.told().at(-1)?.split(" ")[0] ?? "";
    const second = startListening(server, local.url, "--from", position);
    await local.until(9);
    expect(runsOf(local.received)).toEqual([...runs.slice(0, 4), ...runs.slice(3)]);
    expect(local.received[4]?.id).toBe(local.received[3]?.id);
    expect(new Set(local.received.map(({ id }) => id)).size).toBe(8);
    await second.until("run.completed", 5);
    await second.end("SIGINT");
    expect(second.lines.at(-1)).toMatch(/^go on with --from \d+$/);
    const [, next = ""] = second.lines.at(-1)?.split("--from ") ?? [];
    const third = startListening(server, local.url, "--from", next);
    const last = await endRun("run.failed");
    await local.until(10);
    expect(runsOf(local.received).at(-1)).toBe(last);
    await third.end("SIGTERM");
  });

  it("says how a delivery failed, and goes on with the next", async () => {
    const [server, local] = [await openTestServer(), await openReceiver()];
    const { endRun } = replaying(server);
    for (let count = 0; count < 3; count++) await endRun();
    local.answerNext("reset", { status: 500 }, { status: 302, headers: { location: "/elsewhere" } });
    const listening = startListening(server, local.url, "--from", "earliest");
    await listening.until("run.completed", 3);
    const outcomes = listening.told().map((line) => line.split("  ")[4]);
    expect(outcomes).toEqual(["reset", "500 http_error", "302 http_error"]);
    expect(local.received).toHaveLength(3);
  });

  it("tells of the types that it is asked for, from now or a time on, endpoints' health too", async () => {
    const [server, local] = [await openTestServer(), await openReceiver()];
    const { endRun, endpointAt, setStatus } = replaying(server);
    const endpoint = await endpointAt("https://127.0.0.1:1/hooks", { types: ["endpoint.paused"] });
    await endRun("run.failed");
    const types = ["--types", "run.failed,endpoint.disabled"];
    const fromNow = startListening(server, local.url, ...types);
    await fromNow.begun();
    await endRun("run.failed");
    await endRun();
    await setStatus(endpoint, "disabled");
    await fromNow.until("endpoint.disabled");
    await fromNow.end("SIGTERM");
    const told = () => local.received.map(({ body }) => body.type);
    expect(told()).toEqual(["run.failed", "endpoint.disabled"]);
    expect(local.received[1]?.body.data).toMatchObject({ endpoint: { id: endpoint, status: "disabled" } });
    const all = startListening(server, local.url, ...types, "--from", "2020-01-01T00:00:00Z");
    await all.until("endpoint.disabled");
    expect(told().slice(2)).toEqual(["run.failed", "run.failed", "endpoint.disabled"]);
    // Whoever begins behind what an endpoint was knows it all the same.
    const [failed] = await server.events("&type=run.failed");
    const late = startListening(server, local.url, ...types, "--from", String(failed?.position));
    await late.until("endpoint.disabled");
    expect(local.received[6]?.raw).toEqual(local.received[1]?.raw);
  });

  it("waits for a ledger that is away", async () => {
    const [server, local] = [await spawnServer(), await openReceiver()];
    const { endRun } = replaying(server);
    await endRun();
    const listening = startListening(server, local.url, "--from", "earliest");
    await local.until(1);
    await server.kill();
    await listening.until("does not answer; asking again");
    await server.restart();
    const run = await endRun();
    await local.until(2);
    expect(runsOf(local.received)[1]).toBe(run);
  });

  it("says so once where the key may not read what was written", async () => {
    const [server, local] = [await openTestServer(), await openReceiver()];
    const permissions = ["events:read", "runs:read"];
    const { body } = await server.post<{ key: string }>("/v1/keys", { name: "some", permissions });
    const { endRun } = replaying(server);
    for (let count = 0; count < 2; count++) await endRun();
    const listening = startListening({ url: server.url, key: body.key }, local.url, "--from", "earliest");
    await local.until(2);
    expect(local.received.map(({ raw }) => raw.toString().includes("pro"))).toEqual([false, false]);
    await listening.until("run.completed", 2);
  });
});

describe("listening is refused", () => {
  const to = "http://127.0.0.1:9/hooks";
  const run = (...args: string[]) =>
    runProgram("services/listen.ts", { data: temporaryFolder(), args: [...args] });
  const whole = ["--to", to, "--key", "k"];

  it.each([
    [[]],
    [["--to", to]],
    [["--key", "k"]],
    [["--to", "here", "--key", "k"]],
    [["--to", "ftp://127.0.0.1/", "--key", "k"]],
    [[...whole, "--url", "here"]],
    [[...whole, "--from", "yesterday"]],
    [[...whole, "--from", "-1"]],
    [[...whole, "--types", "run.started"]],
    [[...whole, "--types", ""]],
    [[...whole, "--types", "run.failed,delivery.exhausted"]],
    [[...whole, "--body-version", "3"]],
    [[...whole, "--what", "else"]],
  ])("of who says %j", async (args) => {
    const { code, err, out } = await run(...args);
    expect([code, out]).toEqual([1, ""]);
    expect(err).toMatch(/^usage: npm run listen -- --to <url> --key <api key>/);
  });

  it("with what is no secret", async () => {
    const { code, err } = await run(...whole, "--secret", "whsec_short");
    expect([code, err.trim().split("\n").length]).toEqual([1, 1]);
  });

  it("by a ledger that does not know the key, or a position", async () => {
    const server = await openTestServer();
    const wrong = await run("--to", to, "--key", "rl_nobody", "--url", server.url);
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining("401 unauthenticated")]);
    const beyond = await run(
      ...["--to", to, "--key", server.key, "--url", server.url, "--from", "123456789"],
    );
    expect([beyond.code, beyond.err]).toEqual([1, expect.stringContaining("400 position_unknown")]);
  });
});
