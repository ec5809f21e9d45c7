import { openSoleLeases } from "../../shared/leases/sole-leases.ts";
import { openSqlitePositions } from "../../shared/leases/sqlite-positions.ts";
import { positionsContract } from "../contracts/positions.contract.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

positionsContract("sqlite", async () => {
  const folder = temporaryFolder();
  return { leases: openSoleLeases(), open: async () => openSqlitePositions(folder) };
});
