import { defineConfig } from "vitest/config";

const ci = process.env.CI !== undefined;

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
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
  },
});
