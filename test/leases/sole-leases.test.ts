import { openSoleLeases } from "../../shared/leases/sole-leases.ts";
import { leasesContract } from "../contracts/leases.contract.ts";

leasesContract("sole", async () => {
  const leases = openSoleLeases();
  return { open: async () => leases };
});
