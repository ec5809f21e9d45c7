import { defineConfig } from "vitest/config";

const ci = process.env.CI !== undefined;

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // A process per file: a test may kill what it started, use up its memory limit or change its environment.
    pool: "forks",
    maxWorkers: 2,
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
