import { expect, it } from "vitest";
import { openInProcessBus } from "../../shared/bus/in-process-bus.ts";
import { busContract } from "../contracts/bus.contract.ts";

busContract("in-process", async () => openInProcessBus());

it("wakes once for all that was published in one turn", async () => {
  const bus = openInProcessBus();
  let calls = 0;
  bus.subscribe(() => calls++);
  const woken = new Promise<void>((resolve) => bus.subscribe(resolve));
  for (let count = 0; count < 100; count++) bus.publish();
  await woken;
  expect(calls).toBe(1);
});
