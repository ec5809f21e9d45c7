import { existsSync, readFileSync } from "node:fs";
import { dirname, posix } from "node:path";
import { describe, expect, it } from "vitest";
import { cyclesIn, type Import, root, type Source, sourceOf, sourcesIn } from "./support/sources.ts";

/** Every room, and what it may import beside itself: other rooms, or single files. After `type` no more than
 *  types, after `url` no more than the address, to start it as a worker or a process. */
const mayImport: Record<string, readonly string[]> = {
  "shared/domain": [],
  // A leaf is made of an event, so sealing has to name its members.
  "shared/verification": ["type shared/domain/event.ts"],
  "shared/webhooks": [],
  // How PostgreSQL and Kafka are spoken to is known in one place each; adapters of the ports stand on it.
  "shared/postgres": [],
  "shared/kafka": ["type shared/platform/engines.ts", "type shared/platform/log.ts"],
  "shared/vault": ["shared/postgres"],
  "shared/bus": ["shared/kafka"],
  "shared/leases": ["shared/postgres"],
  // What it appends is sealed; at its start it computes the last leaves again and makes the ledger's id.
  "shared/event-store": [
    "type shared/domain/event.ts",
    "shared/verification/canonical.ts",
    "shared/verification/ids.ts",
    // What is stored is read exactly, whatever the engine makes of escaped keys.
    "shared/verification/read-json.ts",
  ],
  "shared/platform": [],
  "shared/ledger": [
    "shared/domain",
    "shared/verification",
    "shared/event-store",
    "shared/bus",
    "shared/vault",
  ],
  // What producers send is the same through every door, and services do not import each other.
  "shared/intake": ["shared/domain", "shared/verification", "shared/ledger", "shared/platform/errors.ts"],
  projections: [
    "shared/domain",
    "shared/event-store",
    "shared/platform",
    "shared/verification",
    "shared/postgres",
    "shared/leases",
  ],
  // What a service needs of another it finds in the log or in the views.
  "services/*": [
    "shared/domain",
    "shared/verification",
    "shared/webhooks",
    "shared/vault",
    "shared/event-store",
    "shared/bus",
    "shared/postgres",
    "shared/kafka",
    "shared/leases",
    "shared/platform",
    "shared/ledger",
    "shared/intake",
    "projections",
  ],
  // The demo is a stranger: it starts the server as anybody would and speaks HTTP with it.
  demo: ["url services/main.ts"],
  // Examples are strangers too: they know what the package exports, by its name, and no path of ours.
  examples: [],
  // What stands on a server is measured on the one that the tests start.
  bench: ["shared", "projections", "services", "test/support/servers"],
};

/** What puts the parts together may name them all: the commands, and the projector on its own thread. */
const isRoot = (path: string) =>
  /^services\/[^/]+\.ts$/.test(path) || path === "services/projector/worker.ts";

/** What a room may import of npm and Node; one that is not listed: Node and package.json's `dependencies`. */
const mayUse: Record<string, RegExp> = {
  "shared/domain": /^zod$/,
  // What their readers use.
  examples: /^(node:\w+|express|fastify|pg|runledger\/receiver)$/,
  bench: /./,
  demo: /./,
};

const roomOf = (path: string): string => /^(?:shared|services)\/[^/]+(?=\/)|^[^/]+/.exec(path)?.[0] ?? path;
const allowed = (room: string): readonly string[] =>
  mayImport[room] ?? (room.startsWith("services/") ? mayImport["services/*"] : undefined) ?? [];
const inside = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`);

function mayName(path: string, { kind, file }: Import): boolean {
  if (file === undefined || isRoot(path) || inside(file, roomOf(path))) return true;
  return allowed(roomOf(path)).some((entry) => {
    const [only, folder] = entry.includes(" ") ? entry.split(" ") : [undefined, entry];
    return folder !== undefined && inside(file, folder) && (only === undefined || only === kind);
  });
}

/** OpenTelemetry is known in one place: its packages change often, and are loaded only where somebody asked
 *  for traces. */
const knowsTraces = /^shared\/platform\/otlp-/;

const { dependencies }: { dependencies: Record<string, string> } = JSON.parse(
  readFileSync(`${root}package.json`, "utf8"),
);
const packageOf = (specifier: string) => /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier;

/** What a server is made of takes it from `shared/platform/http.ts`, which says why. */
const isCostly = (path: string, { specifier, kind }: Import): boolean =>
  specifier === "node:http" && kind !== "type" && /^(?:services|shared|projections)\//.test(path);

function mayUsePackage(path: string, named: Import): boolean {
  const { specifier, file } = named;
  if (file !== undefined) return true;
  if (isCostly(path, named)) return false;
  if (specifier.startsWith("@opentelemetry/") && !knowsTraces.test(path)) return false;
  const only = mayUse[roomOf(path)];
  if (only) return only.test(specifier);
  return specifier.startsWith("node:") || packageOf(specifier) in dependencies;
}

const isAdapter = (path: string) =>
  /^(sqlite|postgres|eventstoredb|otlp)-|^kafka-bus/.test(posix.basename(path));

/** An adapter is named where parts are put together, measured or tested, and by adapters beside it. */
function mayNameAdapter(path: string, { file }: Import): boolean {
  if (file === undefined || !isAdapter(file) || isRoot(path)) return true;
  const folder = dirname(file);
  const itsTests = `test/${folder.replace(/^(shared|services)\//, "")}`;
  if (isAdapter(path) && dirname(path) === folder) return true;
  return inside(path, itsTests) || inside(path, "test/support") || inside(path, "bench");
}

type Allows = (path: string, named: Import) => boolean;
const refused = ({ path, imports }: Source, allows: Allows): string[] =>
  imports
    .filter((named) => !allows(path, named))
    .map(({ kind, file, specifier }) => `${kind} ${file ?? specifier}`);

const sources = sourcesIn("shared", "projections", "services", "bench", "demo", "examples");
const tests = sourcesIn("test");
const all = [...sources, ...tests];
const shipped = sourcesIn("shared", "projections", "services");

/** The paths of those that break a rule. */
const breaking = (files: readonly Source[], breaks: (source: Source) => boolean): string[] =>
  files.filter(breaks).map(({ path }) => path);
/** What was found in code that breaks a rule, each with its path. */
const matches = (files: readonly Source[], pattern: RegExp): string[] =>
  files.flatMap(({ path, code }) => [...code.matchAll(pattern)].map(([found]) => `${path}: ${found.trim()}`));

describe("imports", () => {
  it.each(sources)("$path imports only what its room may", (source) => {
    expect(refused(source, mayName)).toEqual([]);
  });

  it("come from packages that the room may use and that are installed for the server", () => {
    const wrong = sources.flatMap((source) =>
      refused(source, mayUsePackage).map((named) => `${source.path}: ${named}`),
    );
    expect(wrong).toEqual([]);
  });

  it("name adapters only where the parts are put together, measured or tested", () => {
    const wrong = all.flatMap((source) =>
      refused(source, mayNameAdapter).map((named) => `${source.path}: ${named}`),
    );
    expect(wrong).toEqual([]);
  });

  it("load what sends traces only where somebody asked for it", () => {
    const named = sources.flatMap(({ path, imports }) =>
      imports.filter(({ file }) => file && knowsTraces.test(file)).map(({ kind }) => `${path}: ${kind}`),
    );
    expect(named).toEqual(["services/tracing.ts: dynamic"]);
  });

  it("make no circle", () => expect(cyclesIn(all)).toEqual([]));
});

describe("the domain", () => {
  const domain = sourcesIn("shared/domain");

  it("has no clock, no randomness, no environment and no promise", () => {
    const impure =
      /\bnew Date\(\)|\b(Date\.now|Math\.random|process|await|async|Promise|setTimeout|setInterval)\b/g;
    expect(matches(domain, impure)).toEqual([]);
  });
});

describe("a file", () => {
  it("is named in kebab-case", () => {
    expect(
      breaking(all, ({ path }) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)*\.ts$/.test(posix.basename(path))),
    ).toEqual([]);
  });

  it("has no default export", () => {
    expect(matches(all, /^export default\b|^export \{[^}]*\bas default\b/gm)).toEqual([]);
  });

  it("is no barrel", () => {
    const onlyPassesOn = ({ code }: Source) =>
      code.replace(/^(import|export)\b[^;]*\bfrom "[^"]+";|^import "[^"]+";/gm, "").trim() === "";
    expect(breaking(all, (source) => /\/index\.ts$/.test(source.path) || onlyPassesOn(source))).toEqual([]);
    expect(matches(all, /^export (type )?\*.*/gm)).toEqual([]);
  });

  it("has at most 250 lines, and 400 if it is a test", () => {
    const tooLong = (max: number) => (files: readonly Source[]) =>
      files
        .filter(({ lines }) => lines.length > max)
        .map(({ path, lines }) => `${path}: ${lines.length} lines`);
    expect([...tooLong(250)(sources), ...tooLong(400)(tests)]).toEqual([]);
  });

  it("is at most 110 characters wide", () => {
    const wide = all.flatMap(({ path, lines }) =>
      lines.flatMap((line, index) =>
        line.length > 110 ? [`${path}:${index + 1}: ${line.length} wide`] : [],
      ),
    );
    expect(wide).toEqual([]);
  });

  it("lies in at most four folders, none of them a drawer for everything", () => {
    expect(breaking(all, ({ path }) => path.split("/").length > 5)).toEqual([]);
    const drawer = /(^|\/)(utils?|commons?|helpers?|types?|models?|core|libs?)\//;
    expect(breaking(all, ({ path }) => drawer.test(path))).toEqual([]);
  });

  it("says what happens in the log, never on the console", () => {
    expect(matches(shipped, /\bconsole\s*\.\s*\w+/g)).toEqual([]);
  });
});

describe("the ten-minute path", () => {
  const path = [
    "shared/domain/run/events.ts",
    "shared/domain/run/run.ts",
    "shared/event-store/event-store.ts",
    "shared/ledger/ledger.ts",
    "projections/runs/runs.ts",
    "services/main.ts",
  ];
  const missing = [...path, "README.md"].filter((file) => !existsSync(root + file));

  it("is there", () => expect(missing).toEqual([]));

  it("can be read in ten minutes: it has fewer than 600 lines", () => {
    const lines = sources.filter((source) => path.includes(source.path)).map((source) => source.lines.length);
    expect(lines).toHaveLength(path.length);
    expect(lines.reduce((sum, count) => sum + count, 0)).toBeLessThan(600);
  });
});

describe("these rules", () => {
  const of = (path: string, text: string) => sourceOf(path, text);

  it.each([
    ["shared/domain/run/run.ts", 'import { hash } from "../../verification/canonical.ts";'],
    ["shared/verification/proofs.ts", 'import { event } from "../domain/event.ts";'],
    ["shared/verification/proofs.ts", 'import type { Run } from "../domain/run/run.ts";'],
    ["shared/event-store/event-store.ts", 'import { prove } from "../verification/proofs.ts";'],
    ["shared/platform/log.ts", 'export { Run } from "../domain/run/run.ts";'],
    ["shared/ledger/ledger.ts", 'const { app } = await import("../../services/api/app.ts");'],
    ["projections/projector.ts", 'import "../shared/ledger/ledger.ts";'],
    ["services/api/runs.ts", 'import {\n  due,\n  type Due,\n} from "../dispatcher/due.ts";'],
    ["services/api/runs.ts", 'new Worker(new URL("../projector/worker.ts", import.meta.url));'],
    ["services/api/runs.ts", 'import * as main from "../main.ts";'],
    ["demo/demo.ts", 'import { sign } from "../shared/webhooks/signature.ts";'],
    ["shared/unheard-of/a.ts", 'import { event } from "../domain/event.ts";'],
  ])("refuse what %s may not import: %j", (path, text) => {
    expect(refused(of(path, text), mayName)).toHaveLength(1);
  });

  it.each([
    ["shared/verification/proofs.ts", 'import type { Meta } from "../domain/event.ts";'],
    ["services/main.ts", 'import { app } from "./api/app.ts";'],
    ["services/projector/worker.ts", 'import { a } from "../recipients/a.ts";'],
    ["services/projector/projector.ts", 'new URL("./worker.ts", import.meta.url)'],
    [
      "demo/demo.ts",
      'spawn(process.execPath, [fileURLToPath(new URL("../services/main.ts", import.meta.url))]);',
    ],
    ["services/api/runs.ts", '// import { due } from "../dispatcher/due.ts";'],
  ])("take what %s may import: %j", (path, text) => {
    expect(refused(of(path, text), mayName)).toEqual([]);
  });

  it.each([
    ["shared/domain/event.ts", "node:crypto"],
    ["shared/domain/event.ts", "pino"],
    ["services/api/app.ts", "standardwebhooks"],
    ["services/dispatcher/post.ts", "node:http"],
    ["services/dispatcher/traced.ts", "@opentelemetry/api"],
    ["shared/platform/tracing.ts", "@opentelemetry/sdk-trace"],
    ["services/api/app.ts", "@types/express"],
  ])("refuse that %s uses %s", (path, name) => {
    expect(refused(of(path, `import { a } from "${name}";`), mayUsePackage)).toEqual([`import ${name}`]);
  });

  it.each(["services/api/app.ts", "projections/projector.ts", "test/api/app.test.ts"])(
    "refuse that %s names an adapter",
    (path) => {
      const text = `import { a } from "${posix.relative(dirname(path), "shared/vault/sqlite-vault.ts")}";`;
      expect(refused(of(path, text), mayNameAdapter)).toEqual(["import shared/vault/sqlite-vault.ts"]);
    },
  );

  it("find a circle, of types too", () => {
    const circle = [
      of("a/one.ts", 'import { two } from "./two.ts";'),
      of("a/two.ts", 'import type { Three } from "../b/three.ts";'),
      of("b/three.ts", 'export { one } from "../a/one.ts";'),
    ];
    expect(cyclesIn(circle)).toEqual(["a/one.ts -> a/two.ts -> b/three.ts -> a/one.ts"]);
    expect(cyclesIn(circle.slice(1))).toEqual([]);
  });

  it("refuse an import whose target is computed", () => {
    expect(refused(of("services/api/app.ts", "await import(name)"), mayUsePackage)).toEqual(["dynamic ?"]);
  });
});
