import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { Problem } from "../../shared/platform/errors.ts";
import { type Log, openLog } from "../../shared/platform/log.ts";

const KEY = `rl_default_abcdefghij_${"S3cret".repeat(7)}x`;

/** What the log wrote: the lines as text, and the only one as JSON. */
function written(use: (log: Log) => void) {
  const lines: string[] = [];
  use(openLog({ level: "info", destination: { write: (line) => void lines.push(line) } }));
  const text = lines.join("");
  return { text, line: JSON.parse(text.split("\n")[0] ?? "") };
}

/** A process that opens the log on its standard output. */
function logging(body: string) {
  const module = new URL("../../shared/platform/log.ts", import.meta.url).href;
  const source = `import { openLog } from ${JSON.stringify(module)};
    const log = openLog({ level: "info" });
    ${body}`;
  return spawnSync(process.execPath, ["--input-type=module", "--eval", source], { encoding: "utf8" });
}
const numbersIn = (text: string): number[] =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).n);

describe("a line of the log", () => {
  it("is the event's name, the fields, and who says it", () => {
    const { line } = written((log) => log.info({ runId: "run_1", position: 2n ** 60n }, "run.created"));
    expect(line).toEqual({
      level: "info",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      service: "runledger",
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      runId: "run_1",
      position: "1152921504606846976",
      msg: "run.created",
    });
  });

  it("is not written below the level", () => {
    const { line } = written((log) => {
      log.debug({ n: 0 }, "unheard");
      log.info({ n: 1 }, "heard");
    });
    expect(line.n).toBe(1);
  });

  it("shows an error with its code, its stack and its cause", () => {
    const error = new Problem("storage_full", "no room", { retryAfter: 5 }, new Error("the disk is full"));
    const { line } = written((log) => log.error({ err: error }, "request.faulted"));
    expect(line.err).toMatchObject({ type: "Problem", code: "storage_full" });
    expect(line.err.message).toContain("the disk is full");
    expect(line.err.stack).toContain("log.test.ts");
    expect(written((log) => log.error(error)).line.err.type).toBe("Problem");
  });
});

describe("a secret", () => {
  it.each([
    "authorization",
    "Authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "secret",
    "secrets",
    "signingSecret",
    "key",
    "apiKey",
    "api_key",
    "secretsKey",
    "firstKey",
    "token",
    "password",
  ])("is left out where the member is called %s", (name) => {
    const { text } = written((log) =>
      log.info({ [name]: "canary", a: { headers: [{ [name]: "canary" }] } }, "x"),
    );
    expect(text).not.toContain("canary");
  });

  it.each(["keyId", "secretKeyIds", "idempotencyKey", "runKey", "tokens_used"])(
    "is not what is called %s",
    (name) => expect(written((log) => log.info({ [name]: "shown" }, "x")).text).toContain("shown"),
  );

  it.each([KEY, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.abc"])(
    "is left out of every text: %s",
    (secret) => {
      const { text } = written((log) => {
        const child = log.child({ bound: `of ${secret}` });
        child.info({ url: `/x?${secret}`, deep: [{ a: `"${secret}"` }] }, `said ${secret}`);
        child.error(new Error(`failed with ${secret}`, { cause: new Error(secret) }));
      });
      expect(text).not.toContain(secret.slice(-12));
      expect(text.split("[hidden]").length).toBeGreaterThan(5);
      for (const line of text.trim().split("\n")) JSON.parse(line);
    },
  );

  it("is left out of what a child is bound to", () => {
    const { text } = written((log) => log.child({ runId: "run_1", apiKey: 'a "canary' }).info("x"));
    expect(text).not.toContain("canary");
    expect(text).toContain('"runId":"run_1","apiKey":"[hidden]","msg":"x"');
  });

  it("is not shown as bytes", () => {
    const { line } = written((log) =>
      log.info({ salt: Buffer.from("canary"), view: new Uint8Array(3) }, "x"),
    );
    expect(line).toMatchObject({ salt: "[6 bytes]", view: "[3 bytes]" });
  });
});

describe("fields that cannot be JSON", () => {
  it("are cut where they are too deep or go in a circle", () => {
    const circle: Record<string, unknown> = { n: 1 };
    circle.self = circle;
    expect(written((log) => log.info(circle, "x")).line.n).toBe(1);
  });
});

describe("the log of a process", () => {
  const many = Array.from({ length: 2000 }, (_, n) => n);
  const all = `for (let n = 0; n < ${many.length}; n++) log.info({ n }, "x");`;

  it("is complete when the process ends by itself", () => {
    expect(numbersIn(logging(all).stdout)).toEqual(many);
  });

  it.each(["process.exit(3)", "setImmediate(() => process.exit(3))"])("is complete after %s", (exit) => {
    const { stdout, status } = logging(`${all} ${exit};`);
    expect(numbersIn(stdout)).toEqual(many);
    expect(status).toBe(3);
  });

  it("is complete when the process dies of an error", () => {
    const { stdout, status } = logging(`${all} throw new Error("fatal");`);
    expect(numbersIn(stdout)).toEqual(many);
    expect(status).toBe(1);
  });
});
