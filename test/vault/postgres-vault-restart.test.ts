import { expect, it, onTestFinished, vi } from "vitest";
import { openPostgresVault } from "../../shared/vault/postgres-vault.ts";
import { startPostgres } from "../support/servers/postgres.ts";
import { newSharedSchema } from "../support/shared-schema.ts";

it("a vault whose server was restarted forgets what it may have missed the removal of", async () => {
  const server = await startPostgres();
  onTestFinished(() => server.stop());
  const shared = await newSharedSchema(server.address);
  const open = async () =>
    openPostgresVault(await shared.open({ statementTimeoutMs: 3000 }), { key: Buffer.alloc(32, 7) });
  const [one, two] = [await open(), await open()];
  await one.put("id", "first");
  expect(String(await two.find("id"))).toBe("first");
  await server.kill();
  await server.restart();
  await vi.waitFor(() => one.remove("id"), 10_000);
  await vi.waitFor(async () => expect(await two.find("id")).toBeUndefined(), 10_000);
  await Promise.all([one.close(), two.close()]);
}, 60_000);
