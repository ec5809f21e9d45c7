import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { openStatuses, terminalStatuses } from "../shared/domain/run/run.ts";
import { root } from "./support/sources.ts";
import { stateDiagram } from "./support/state-diagram.ts";

describe("the state diagram", () => {
  const lines = stateDiagram().split("\n");

  it("shows every status", () => {
    const shown = new Set(stateDiagram().match(/[a-z_]+/g));
    for (const status of [...openStatuses, ...terminalStatuses]) expect(shown).toContain(status);
  });

  it("shows how a run begins, waits, returns from a pause and fails", () => {
    expect(lines).toContain("    [*] --> pending: run.created");
    expect(lines).toContain("        running --> awaiting_input: run.awaiting_input");
    expect(lines).toContain("        awaiting_input --> running: run.input_given, run.resumed");
    expect(lines).toContain("        paused --> awaiting_approval: run.resumed");
    expect(lines).toContain("    open --> failed: run.failed");
    expect(lines).toContain("    awaiting_approval --> rejected: run.rejected");
  });

  it("stands in the README as the code draws it, between the lines <!-- states -->", () => {
    const path = `${root}README.md`;
    if (!existsSync(path)) throw new Error("there is no README.md to show the state diagram");
    const between = /^<!-- states -->$([\s\S]*?)^<!-- \/?states -->$/m.exec(readFileSync(path, "utf8"))?.[1];
    if (between === undefined)
      throw new Error("README.md has no two lines <!-- states --> around the state diagram");
    expect(between.trim()).toBe(`\`\`\`mermaid\n${stateDiagram()}\n\`\`\``);
  });
});
