import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { deliveryEvents } from "../shared/domain/delivery/events.ts";
import { endpointEvents } from "../shared/domain/endpoint/events.ts";
import { runEvents } from "../shared/domain/run/events.ts";
import { parseConfig } from "../shared/platform/config.ts";
import { freePort } from "./support/free-port.ts";
import { itNeeds, program } from "./support/skip.ts";
import { root } from "./support/sources.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

const readme = readFileSync(`${root}README.md`, "utf8");
/** What a reader would copy into a shell. */
const blocks = [...readme.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block]) => (block ?? "").trim());
/** These are tried by themselves before and after every commit. */
const triedElsewhere = ["npm ci", "npm test", "npm run demo"];
/** These go on until somebody ends them. */
const goesOn = [/^npm start$/, /^node -e .*createServer/];
const KEY = /rl_default_[a-z0-9]{10}_[A-Za-z0-9]{43}/;

/** A shell command with everything it said. It has a process group of its own, which ends with the test. */
function start(command: string, args: readonly string[], env: NodeJS.ProcessEnv) {
  const child = spawn(command, args, { cwd: root, env, detached: true });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text) => {
      said += text;
    });
  onTestFinished(() => end(child));
  return { child, said: () => said };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  process.kill(-child.pid, "SIGKILL");
  await ended;
}

/** A shell that lives as long as its reader's terminal: what one block sets, the next one uses. */
function openShell(env: NodeJS.ProcessEnv) {
  const { child, said } = start("bash", ["-e"], env);
  let blocksRun = 0;
  return async (block: string): Promise<string> => {
    const before = said().length;
    const mark = `block ${++blocksRun} is done`;
    child.stdin?.write(`${block}\necho; echo "${mark}"\n`);
    await vi.waitUntil(() => said().includes(mark) || child.exitCode !== null, { timeout: 10_000 });
    const answered = said().slice(before).replace(mark, "").trim();
    if (child.exitCode !== null) throw new Error(`${block}\nended with ${child.exitCode}:\n${answered}`);
    return answered;
  };
}

describe("README.md", () => {
  it("names every event of runs, endpoints and deliveries", () => {
    const missing = [...runEvents, ...endpointEvents, ...deliveryEvents].filter(
      ({ type }) => !readme.includes(`\`${type}\``),
    );
    expect(missing.map(({ type }) => type)).toEqual([]);
  });

  it("names every variable there is, and no other", () => {
    const { limits, webhookAllow: _, isLoopback: __, ...general } = parseConfig({});
    const optional = ["firstKey", "secretsKey", "secretsKeyNext", "webhookAllow", "webhookProxy"];
    const settings = [...Object.keys(general), ...Object.keys(limits), ...optional];
    const names = settings.map((name) => `RUNLEDGER_${name.replace(/[A-Z]/g, "_$&").toUpperCase()}`);
    expect(new Set(readme.match(/RUNLEDGER_[A-Z_]+[A-Z]/g))).toEqual(new Set(names));
  });

  it("names only commands that package.json has", () => {
    const { scripts }: { scripts: object } = JSON.parse(readFileSync(`${root}package.json`, "utf8"));
    const named = [...readme.matchAll(/npm run ([\w-]+)/g)].map(([, name]) => name);
    expect(named.filter((name) => name === undefined || !(name in scripts))).toEqual([]);
  });

  itNeeds(program("curl"))(
    "has commands that do what it says of them",
    async () => {
      const [port, hookPort] = [await freePort(), await freePort()];
      const data = temporaryFolder();
      const own = Object.entries(process.env).filter(
        ([name]) => !/^(RUNLEDGER_|VITEST|NODE_OPTIONS)/.test(name),
      );
      const env: NodeJS.ProcessEnv = Object.fromEntries(own);
      const serverEnv = { ...env, RUNLEDGER_PORT: `${port}`, RUNLEDGER_DATA: `${data}/data` };
      const here = (block: string) => block.replaceAll("8080", `${port}`).replaceAll("9000", `${hookPort}`);
      const started: ReturnType<typeof start>[] = [];
      const shell = openShell(serverEnv);
      const answers: string[] = [];
      const server = () => started[0];
      const keyOf = () => KEY.exec(server()?.said() ?? "")?.[0];
      const get = (path: string) =>
        fetch(`http://127.0.0.1:${port}${path}`, { headers: { authorization: `Bearer ${keyOf()}` } });
      const isReady = async (): Promise<boolean> => {
        if (server()?.child.exitCode !== null) throw new Error(`the server ended: ${server()?.said()}`);
        return get("/readyz").then(
          ({ ok }) => ok,
          () => false,
        );
      };
      /** A reader types more slowly than the views follow. */
      const settle = async () => {
        const { next } = (await (await get("/v1/events?after=0")).json()) as { next: string };
        expect((await get(`/v1/runs?minPosition=${next}`)).status).toBe(200);
      };

      for (const block of blocks) {
        if (block.split("\n").every((line) => triedElsewhere.includes(line))) continue;
        if (goesOn.some((pattern) => pattern.test(block))) {
          started.push(start("bash", ["-c", here(block)], serverEnv));
          if (started.length > 1) continue;
          await vi.waitUntil(isReady, { timeout: 15_000 });
          expect(keyOf()).toMatch(KEY);
          continue;
        }
        answers.push(await shell(here(block).replace("rl_default_…", `${keyOf()}`)));
        await settle();
      }

      const said = answers.join("\n");
      const listener = started[1];
      await vi.waitUntil(() => listener?.said().includes('"type":"run.completed"'), { timeout: 10_000 });
      for (const what of [/"status":"running"/, /"errorCount":1/, /"stepRef":"pack"/, /no boxes left/])
        expect(said).toMatch(what);
      for (const what of [
        /"type":"run\.created"/,
        /"secret":"whsec_/,
        /"status":"completed"/,
        /"attempts":\[/,
        /^verified \d+ events/m,
      ])
        expect(said).toMatch(what);
    },
    60_000,
  );
});
