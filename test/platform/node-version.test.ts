import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** A process that asks for Node 24 under this version, and says "goes on" if it lives. */
function startedUnder(version?: string) {
  const module = new URL("../../shared/platform/node-version.ts", import.meta.url).href;
  const argument = version === undefined ? "" : JSON.stringify(version);
  const source = `import { requireNode24 } from ${JSON.stringify(module)};
    requireNode24(${argument});
    process.stdout.write("goes on");`;
  return spawnSync(process.execPath, ["--input-type=module", "--eval", source], { encoding: "utf8" });
}

describe("the version of Node", () => {
  it.each(["v20.20.2", "v22.18.0", "v23.11.1", "v4.0.0", "24.0.0", "", "v240"])(
    "%j is refused in one line that says what to do",
    (version) => {
      const { stdout, stderr, status } = startedUnder(version);
      expect(stdout).toBe("");
      expect(stderr).toMatch(/^runledger needs Node 24 or newer, this is .*npm run.*npx node.*\n$/);
      expect(stderr).toContain(`this is ${version}:`);
      expect(status).toBe(1);
    },
  );

  it.each(["v24.0.0", "v24.21.0", "v25.1.0", "v26.0.0-nightly20261101", "v100.0.0"])(
    "%j will do",
    (version) => {
      expect(startedUnder(version)).toMatchObject({ stdout: "goes on", stderr: "", status: 0 });
    },
  );

  it("is 24 or newer for whatever npm runs, and for these tests", () => {
    expect(startedUnder()).toMatchObject({ stdout: "goes on", status: 0 });
    const { stdout } = spawnSync("npm", ["exec", "--offline", "--", "node", "--version"], {
      cwd: root,
      encoding: "utf8",
    });
    expect(stdout).toMatch(/^v2[4-9]\./);
  });
});
