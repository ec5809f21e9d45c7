import { randomBytes } from "node:crypto";
import { expect, it, onTestFinished } from "vitest";
import { LeaseLost } from "../../shared/leases/leases.ts";
import { openPostgresLeases } from "../../shared/leases/postgres-leases.ts";
import { openPostgresPositions } from "../../shared/leases/postgres-positions.ts";
import { positionsContract } from "../contracts/positions.contract.ts";
import { newSharedSchema } from "../support/shared-schema.ts";

async function newPlace() {
  const shared = await newSharedSchema();
  const postgres = await shared.open();
  const leases = await openPostgresLeases(postgres, { leaseMs: 5000, holder: "test", onFault: () => {} });
  onTestFinished(() => leases.close());
  return { postgres, leases, open: () => openPostgresPositions(postgres, leases.fence) };
}

positionsContract("postgres", newPlace);

it("postgres positions are not moved by who lost its lease and has not heard of it", async () => {
  const { postgres, leases, open } = await newPlace();
  const positions = await open();
  const lease = await leases.acquire("publisher", new AbortController().signal);
  if (!lease) throw new Error("there is no lease");
  await positions.save("publisher", { position: 5n, leaf: randomBytes(32) }, lease);
  await postgres.query("UPDATE leases SET token = token + 1, holder = 'another'");
  const late = positions.save("publisher", { position: 6n, leaf: randomBytes(32) }, lease);
  await expect(late).rejects.toThrow(LeaseLost);
  expect((await positions.find("publisher"))?.position).toBe(5n);
});
