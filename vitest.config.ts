import { defineConfig } from "vitest/config";

const ci = process.env.CI !== undefined;

/** What a ledger can stand on beside the default, which is one process on SQLite files. */
const cells = [
  "eventstoredb",
  "postgres",
  "kafka",
  "eventstoredb postgres",
  "eventstoredb kafka",
  "postgres kafka",
  "eventstoredb postgres kafka",
];
/** What must hold on every one of them: the stories that users know, the crash rounds, and the properties. */
const everywhere = [
  "test/scenarios/*.test.ts",
  "test/crash/{crash,fan-out}.test.ts",
  "test/ledger/histories.test.ts",
  "test/projections/projector.test.ts",
];

/** What endpoints are promised in detail stands on the same ports as those stories: on files alone, and on all
 *  engines at once. */
const also: Record<string, readonly string[]> = {
  "eventstoredb postgres kafka": ["test/scenarios/webhooks/*.test.ts", "test/crash/replay.test.ts"],
};

export default defineConfig({
  test: {
    globalSetup: ["test/support/servers/setup.ts"],
    // A process per file: a test may kill what it started, use up its memory limit or change its environment.
    pool: "forks",
    maxWorkers: 2,
    // V8 can free a compiled wrapper of WebAssembly that another isolate still holds, and the process ends
    // with `Check failed: jit_page.has_value()`. Here `fetch` runs WebAssembly beside the projector's thread:
    // with this budget no wrapper is ever compiled anew. The server itself runs none.
    execArgv: ["--wasm-wrapper-tiering-budget=1000000000"],
    testTimeout: 20_000,
    hookTimeout: 20_000,
    // A test that passes at the second try has failed.
    retry: 0,
    allowOnly: !ci,
    passWithNoTests: false,
    reporters: ci ? ["default", "json"] : ["default"],
    outputFile: { json: ".report.json" },
    projects: [
      { extends: true, test: { name: "default", include: ["test/**/*.test.ts"] } },
      ...cells.map((name) => ({
        extends: true as const,
        test: {
          name,
          include: [...everywhere, ...(also[name] ?? [])],
          env: { TEST_CELL: name },
          // Servers are shared by all tests, and a process takes longer to connect than to open a file.
          testTimeout: 60_000,
        },
      })),
    ],
  },
});
