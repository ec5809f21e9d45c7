import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openStreamKeys } from "../../shared/ledger/stream-keys.ts";
import { variablesFor } from "../support/cell.ts";
import { eventfulFolder } from "../support/eventful-folder.ts";
import { runProgram } from "../support/run-program.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { fileVault } from "../support/vaults.ts";

const erasure = { reason: "retention", erasedAt: "2026-02-03T04:05:06.007Z" };

describe("npm run import into EventStoreDB", () => {
  it("brings back nothing that the vault there knows was erased since, and says so", async () => {
    const { folder, streams } = await eventfulFolder();
    const path = join(temporaryFolder(), "log.ndjson");
    expect((await runProgram("services/export.ts", { data: folder, args: [path] })).code).toBe(0);

    const data = join(temporaryFolder(), "data");
    mkdirSync(data, { mode: 0o700 });
    const vault = fileVault(data);
    const keys = openStreamKeys(vault);
    const gone = streams.slice(5, 7);
    await Promise.all(gone.map(keys.keyOf));
    await keys.erase(gone, erasure);
    await vault.close();

    const env = await variablesFor(data, { eventStoreDb: true, postgres: false, kafka: false });
    const imported = await runProgram("services/import.ts", { data, env, args: [path] });
    expect([imported.code, imported.err]).toEqual([0, expect.not.stringContaining("differs")]);
    // Each of the two was created with an input and ended with an output.
    expect(imported.out).toContain("4 events came without content that was erased since\n");
    const verified = await runProgram("services/verify.ts", { data, env });
    expect(verified.out).toMatch(/; the content of 5 was erased\n$/);
    const again = join(temporaryFolder(), "again.ndjson");
    expect((await runProgram("services/export.ts", { data, env, args: [again] })).code).toBe(0);
    const copy = join(temporaryFolder(), "copy");
    expect((await runProgram("services/import.ts", { data: copy, args: [again] })).code).toBe(0);
    const whole = await runProgram("services/verify.ts", { data: copy });
    expect(whole.out).toMatch(/; the content of 5 was erased\n$/);
  }, 60_000);
});
