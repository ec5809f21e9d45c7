import { describe, expect, it } from "vitest";
import { kindsHeard, pagesOf } from "../../projections/replays/pages.ts";
import { createEndpointHistory } from "../../shared/domain/endpoint/history.ts";
import { streamOf } from "../../shared/verification/ids.ts";
import { openMemoryEventStore } from "../support/memory-event-store.ts";
import { idOf, recorder } from "../support/recording.ts";

/** So many events of each kind, mixed. */
async function mixed(count: number) {
  const store = openMemoryEventStore();
  const { record } = recorder(store);
  const streams = [idOf("run", 1), idOf("run", 2), idOf("endpoint", 1), idOf("delivery", 1)].map(streamOf);
  for (let index = 0; index < count; index++) {
    const stream = streams[(index * 7) % (index % 3 === 0 ? 4 : 2)] ?? "";
    await record(stream, `${stream.slice(0, stream.indexOf("-"))}.noted`, {});
  }
  return store;
}

describe("the pages that a replay reads", () => {
  it.each([[["run"]], [["run", "endpoint"]], [["run", "endpoint", "delivery"]], [["delivery"]]])(
    "have every event of %j once, in the log's order, between any two positions",
    async (kinds) => {
      const store = await mixed(2300);
      const head = store.events.at(-1)?.position ?? 0n;
      for (const [after, until] of [
        [0n, head],
        [3n, 1200n],
        [500n, 500n],
        [head, head],
        [1999n, head],
      ] as const) {
        const read = (await Array.fromAsync(pagesOf(store, kinds, after, until))).flat();
        const expected = store.events.filter(
          ({ position, stream }) =>
            position > after && position <= until && kinds.some((kind) => stream.startsWith(`${kind}-`)),
        );
        expect(read.map(({ position }) => position)).toEqual(expected.map(({ position }) => position));
      }
    },
  );

  it("are of what the endpoint has ever heard of", async () => {
    const store = openMemoryEventStore();
    const { record } = recorder(store);
    const endpoints = createEndpointHistory();
    const stream = streamOf(idOf("endpoint", 1));
    const config = { recipientRuns: false, bodyVersion: 1, secretKeyIds: [], status: "enabled" };
    const heard: string[][] = [];
    for (const types of [["run.failed"], ["endpoint.*"], ["run.failed", "delivery.exhausted"], ["run.*"]]) {
      const type = heard.length === 0 ? "endpoint.created" : "endpoint.updated";
      await record(stream, type, { ...config, types }, { url: "https://example.test/" });
      for (const event of store.events) endpoints.take(event);
      heard.push(kindsHeard(endpoints, stream));
    }
    expect(heard).toEqual([
      ["run"],
      ["run", "endpoint"],
      ["run", "endpoint", "delivery"],
      ["run", "endpoint", "delivery"],
    ]);
    expect(kindsHeard(endpoints, "endpoint-other")).toEqual([]);
  });
});
