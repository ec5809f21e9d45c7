import { systemClock } from "../../shared/platform/clock.ts";
import { eventStoreContract } from "../contracts/event-store.contract.ts";
import { openSimulatedLog } from "../support/simulated-log.ts";
import { openProcess } from "../support/simulated-process.ts";

const at = (instantMs: number, work: () => void): void => {
  void systemClock.sleep(instantMs - systemClock.now()).then(work);
};

eventStoreContract("the simulated log", async () => {
  const process = openProcess({ ...systemClock, at }, () => {});
  return openSimulatedLog(systemClock, () => 0).storeFor(process);
});
