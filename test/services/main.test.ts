import { chmodSync, statSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import { newKeyText } from "../../shared/ledger/keys.ts";
import { type Ended, runProgram } from "../support/run-program.ts";
import { startServer } from "../support/start-server.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const start = (data: string, env: Record<string, string> = {}, args: string[] = []): Promise<Ended> =>
  runProgram("services/main.ts", { data, args, env: { RUNLEDGER_PORT: "0", ...env } });

/** One line for whoever started it, and nothing else. */
function expectRefused({ code, err }: Ended, pattern: RegExp): void {
  expect(err.trim().split("\n")).toHaveLength(1);
  expect(err).toMatch(pattern);
  expect(code).toBe(1);
}

describe("the server refuses to start, in one line", () => {
  it("with a variable that it does not know, and says which was meant", async () => {
    expectRefused(await start(temporaryFolder(), { RUNLEDGER_PROT: "1" }), /RUNLEDGER_PROT .*RUNLEDGER_PORT/);
  });

  it("with a value that cannot be, and shows no secret", async () => {
    expectRefused(await start(temporaryFolder(), { RUNLEDGER_PORT: "http" }), /RUNLEDGER_PORT must be/);
    const refused = await start(temporaryFolder(), { RUNLEDGER_SECRETS_KEY: "not-a-key-at-all" });
    expectRefused(refused, /RUNLEDGER_SECRETS_KEY must be/);
    expect(refused.err).not.toContain("not-a-key");
  });

  it("with days to keep excerpts that it cannot keep", async () => {
    const keeping = (days: string, env = {}) =>
      start(temporaryFolder(), { RUNLEDGER_EXCERPT_DAYS: days, ...env });
    expectRefused(await keeping("delivered:soon"), /^RUNLEDGER_EXCERPT_DAYS must be days by class/);
    const unsealed = {
      RUNLEDGER_EVENT_STORE: "eventstoredb",
      RUNLEDGER_EVENT_STORE_URL: "esdb://127.0.0.1:1?tls=false",
      RUNLEDGER_SEAL_CONTENT: "false",
    };
    expectRefused(await keeping("failed:1", unsealed), /^RUNLEDGER_EXCERPT_DAYS cannot end where/);
  });

  it("as a process that there is not", async () => {
    expectRefused(await start(temporaryFolder(), {}, ["projector-only"]), /no process projector-only/);
  });

  it("on a port that somebody has", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void taken.close());
    const { port } = taken.address() as AddressInfo;
    expectRefused(await start(temporaryFolder(), { RUNLEDGER_PORT: `${port}` }), /the port is in use/);
  });

  it("in a folder that is a file", async () => {
    const file = join(temporaryFolder(), "data");
    writeFileSync(file, "");
    expectRefused(await start(file), /is not a folder/);
  });

  it("beside another that writes the same log", async () => {
    const data = temporaryFolder();
    const server = await startServer(data);
    expectRefused(await start(data), /another process is writing the log/);
    await server.stop();
  });

  it("on a file that is no log, and on a log of a newer format", async () => {
    const foreign = temporaryFolder();
    new DatabaseSync(join(foreign, "log.db")).exec("CREATE TABLE notes (text)");
    expectRefused(await start(foreign), /is not a Runledger log/);
    const newer = temporaryFolder();
    await (await startServer(newer)).stop();
    new DatabaseSync(join(newer, "log.db")).exec("PRAGMA user_version = 99");
    expectRefused(await start(newer), /newer/);
  });

  it("with a key file that others can read", async () => {
    const data = temporaryFolder();
    await (await startServer(data)).stop();
    chmodSync(join(data, "vault.key"), 0o644);
    expectRefused(await start(data), /vault\.key/);
  });
});

describe("the first start", () => {
  it("prints a key that may do everything, once, and never into the log", async () => {
    const data = join(temporaryFolder(), "data");
    const first = await startServer(data);
    const answer = await fetch(`${first.url}/v1/keys`);
    expect(answer.status).toBe(401);
    await first.stop();
    const key = /rl_default_[a-z0-9]{10}_[A-Za-z0-9]{43}/.exec(await first.said)?.[0] ?? "";
    expect(key).not.toBe("");
    expect(first.logged.join()).not.toContain(key);
    expect(statSync(data).mode & 0o777).toBe(0o700);
    const second = await startServer(data);
    const listed = await fetch(`${second.url}/v1/keys`, { headers: { authorization: `Bearer ${key}` } });
    expect(listed.status).toBe(200);
    await second.stop();
    expect(await second.said).toBe("");
  });

  it("takes the key that it is given, and says on a ledger with keys that it is ignored", async () => {
    const data = temporaryFolder();
    const key = newKeyText("acme");
    const first = await startServer(data, { RUNLEDGER_FIRST_KEY: key });
    const { status } = await fetch(`${first.url}/v1/keys`, { headers: { authorization: `Bearer ${key}` } });
    expect(status).toBe(200);
    await first.stop();
    const other = newKeyText("acme");
    const second = await startServer(data, { RUNLEDGER_FIRST_KEY: other });
    const refused = await fetch(`${second.url}/v1/keys`, { headers: { authorization: `Bearer ${other}` } });
    expect(refused.status).toBe(401);
    await second.stop();
    expect((await second.said).trim()).toBe("RUNLEDGER_FIRST_KEY is ignored: this ledger has keys");
  });

  it("ends with 0 after SIGTERM", async () => {
    const server = await startServer(temporaryFolder());
    await server.stop();
    expect(server.process.exitCode).toBe(0);
  });
});
