import { expect, it } from "vitest";
import { openFaults } from "../../shared/platform/faults.ts";

it("a fault that comes again and again is said at once, and then now and then how often it came", () => {
  let nowMs = 0;
  const said: string[] = [];
  const error = (fields: object, name: string) =>
    void said.push(`${nowMs} ${name} ${(fields as { times?: number }).times ?? 1}`);
  const faults = openFaults({ error } as Parameters<typeof openFaults>[0], () => nowMs);
  const away = Object.assign(new Error("away"), { code: "postgres_away" });
  for (; nowMs <= 25_000; nowMs += 1000) faults("connection.lost")(away);
  nowMs = 25_500;
  faults("connection.lost")(new Error("something else"));
  faults("lease.faulted")(away);
  expect(said).toEqual([
    "0 connection.lost 1",
    "10000 connection.lost 10",
    "20000 connection.lost 10",
    "25500 connection.lost 1",
    "25500 lease.faulted 1",
  ]);
});
