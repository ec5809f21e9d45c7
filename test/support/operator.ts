import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, onTestFinished, vi } from "vitest";
import { newKeyText } from "../../shared/ledger/keys.ts";
import { type Client, client } from "./client.ts";
import { freePort } from "./free-port.ts";
import { addressOf } from "./servers/address-of.ts";
import { root } from "./sources.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/** What a document tells an operator to write and to run. */
export type Block = { language: string; text: string };
/** Files of variables, by their names. */
export type Files = ReadonlyMap<string, string>;
export type Process = { role: string; child: ChildProcess; said: () => string; api: Client };

export const blocksIn = (document: string): Block[] =>
  [...document.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language = "", text = ""]) => ({
    language,
    text: text.trim(),
  }));

/** Every file of variables begins with its name. */
export const filesIn = (blocks: readonly Block[]): Files =>
  new Map(
    blocks.flatMap(({ language, text }) => {
      const [, name] = /^# (\w+\.env)\n/.exec(text) ?? [];
      return language === "ini" && name !== undefined ? [[name, text] as const] : [];
    }),
  );

const FILES = String.raw`((?:--env-file=\w+\.env )+)`;
const serving = new RegExp(String.raw`^(?:RUNLEDGER_PORT=(\d+) )?node ${FILES}services/main\.ts(?: (\w+))?$`);
const ending = new RegExp(
  String.raw`^node ${FILES}services/(move|verify|export|import)\.ts(?: (\w+\.ndjson\.gz))?$`,
);
const shell = /^umask 077$|^echo ".*" > secrets\.env$/;
/** What a program says at its end. */
const SAID: Readonly<Record<string, RegExp>> = {
  move: /^moved \d+ events/m,
  verify: /^verified \d+ events/m,
  export: /^exported \d+ events/m,
  import: /^imported \d+ events/m,
};

/** Whether a line starts something that goes on. */
export const isServing = (line: string): boolean => serving.test(line);
/** Whether an operator here knows how to carry out a line. */
export const isKnown = (line: string): boolean => [serving, ending, shell].some((form) => form.test(line));

const filesNamed = (text: string): string[] =>
  [...text.matchAll(/--env-file=(\w+\.env)/g)].map(([, file = ""]) => file);

/** A folder, with files whose addresses, ports and names are those of this machine and of this test alone. */
function openPlace(files: Files) {
  const folder = temporaryFolder();
  const name = `t${randomBytes(6).toString("hex")}`;
  const ports = new Map<string, number>();

  async function portFor(written: string): Promise<number> {
    const port = ports.get(written) ?? (await freePort());
    ports.set(written, port);
    return port;
  }
  /** Topics of each block are its own: two ledgers would not share them. */
  const topicPrefix = (block: number, written = "runledger."): string => `${name}.${block}.${written}`;

  const here = (block: number): Readonly<Record<string, (written: string) => Promise<string> | string>> => ({
    RUNLEDGER_PORT: async (written) => `${await portFor(written)}`,
    RUNLEDGER_DATA: (written) => join(folder, written),
    RUNLEDGER_EVENT_STORE_URL: () => addressOf("eventstoredb"),
    RUNLEDGER_POSTGRES_URL: () => addressOf("postgres"),
    RUNLEDGER_KAFKA: () => addressOf("kafka"),
    RUNLEDGER_POSTGRES_SCHEMA: (written) => `${name}_${written}`,
    RUNLEDGER_STREAM_PREFIX: (written) => `${name}.${written}`,
    RUNLEDGER_KAFKA_TOPIC_PREFIX: (written) => topicPrefix(block, written),
  });

  async function write(file: string, block: number): Promise<void> {
    const [, ...lines] = files.get(file)?.split("\n") ?? [];
    const known = here(block);
    const written = lines.map(async (line) => {
      const [, variable = "", value = ""] = /^(RUNLEDGER_\w+)=(.+)$/.exec(line) ?? [];
      if (variable === "") throw new Error(`${file} has ${line}`);
      return `${variable}=${(await known[variable]?.(value)) ?? value}`;
    });
    writeFileSync(join(folder, file), (await Promise.all(written)).join("\n"));
  }

  return {
    folder,
    portFor,
    topicPrefix,
    /** Writes the files that commands name. What another command has written stays as it is. */
    async writeFiles(text: string, block: number): Promise<void> {
      for (const file of new Set(filesNamed(text))) if (files.has(file)) await write(file, block);
    },
    /** The files that a command names, as its first arguments. */
    filesFor: (named: string): string[] =>
      filesNamed(named).map((file) => `--env-file=${join(folder, file)}`),
    /** The port of a command that names none, in the last of its files that does. */
    portIn: (named: string): string | undefined =>
      filesNamed(named)
        .map((file) => /^RUNLEDGER_PORT=(\d+)$/m.exec(files.get(file) ?? "")?.[1])
        .findLast((port) => port !== undefined),
  };
}

type Began = { child: ChildProcess; ended: Promise<number | null>; said: () => string };

function begin(
  command: string,
  args: readonly string[],
  more: Readonly<Record<string, string>>,
  cwd = root,
): Began {
  const own = Object.entries(process.env).filter(([name]) => !/^(RUNLEDGER_|VITEST|NODE_OPTIONS)/.test(name));
  const env = { ...Object.fromEntries(own), ...more };
  const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (more: string) => {
      text += more;
    });
  const ended = once(child, "close").then(([code]) => code as number | null);
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  return { child, ended, said: () => text };
}

/** Somebody with an empty folder, who does what a document says, block by block. */
export function openOperator(files: Files) {
  const place = openPlace(files);
  const key = newKeyText("default");
  let running: (Process & Began)[] = [];
  let block = 0;

  async function serve([, port, named = "", role = "all"]: readonly (string | undefined)[]) {
    const args = place.filesFor(named);
    const listens = await place.portFor(port ?? place.portIn(named) ?? "8080");
    const more = { RUNLEDGER_FIRST_KEY: key, ...(port ? { RUNLEDGER_PORT: `${listens}` } : {}) };
    const began = begin(process.execPath, [...args, "services/main.ts", role], more);
    const has = () => began.said().includes('"msg":"server.started"') || began.child.exitCode !== null;
    await vi.waitUntil(has, { timeout: 30_000 });
    if (began.child.exitCode !== null) throw new Error(`${role} ended: ${began.said()}`);
    return { ...began, role, api: client(`http://127.0.0.1:${listens}`, key) };
  }

  async function stop(): Promise<void> {
    const stopping = running;
    running = [];
    for (const { child } of stopping) child.kill("SIGTERM");
    for (const { role, ended, said } of stopping) expect([role, await ended], said()).toEqual([role, 0]);
  }

  async function run([, named = "", program = "", file]: readonly (string | undefined)[]): Promise<void> {
    if (program === "move") await stop();
    const args = [...place.filesFor(named), `services/${program}.ts`];
    const { ended, said } = begin(process.execPath, file ? [...args, join(place.folder, file)] : args, {});
    expect([program, await ended], said()).toEqual([program, 0]);
    expect(said()).toMatch(SAID[program] ?? "nothing");
  }

  return {
    running: (): readonly Process[] => running,
    stop,
    /** What the topics of the last block are called. */
    topicPrefix: (): string => place.topicPrefix(block),
    /** Carries out a block of commands. Processes that go on take the place of those before. */
    async do({ text }: Block): Promise<void> {
      block++;
      await place.writeFiles(text, block);
      const lines = text.split("\n");
      const matching = (form: RegExp) =>
        lines.flatMap((line) => [form.exec(line) ?? []].filter((e) => e.length));
      if (lines.every((line) => serving.test(line))) {
        await stop();
        running = await Promise.all(matching(serving).map(serve));
      } else if (lines.every((line) => ending.test(line))) {
        for (const program of matching(ending)) await run(program);
      } else if (lines.every((line) => shell.test(line))) {
        const PATH = `${dirname(process.execPath)}:${process.env.PATH}`;
        expect(await begin("bash", ["-ec", text], { PATH }, place.folder).ended).toBe(0);
      } else throw new Error(`nobody here knows how to carry out\n${text}`);
    },
  };
}
