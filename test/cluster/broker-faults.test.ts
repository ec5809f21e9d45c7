import { expect, onTestFinished, vi } from "vitest";
import { spawnCluster } from "../support/cluster.ts";
import { openTopic } from "../support/publishing.ts";
import { startKafka } from "../support/servers/kafka.ts";
import { itNeeds, kafkaOfItsOwn } from "../support/skip.ts";
import { idsOf } from "../support/whole-topic.ts";
import { openBalancedBook } from "./balanced-book.ts";
import { expectSettled, openHearing, underLoad } from "./settled.ts";

const PATIENCE = { timeout: 30_000, interval: 50 };
/** An outage of seconds is a few lines of each process, however often it asked meanwhile. */
const LINES_MAX = 25;

itNeeds(kafkaOfItsOwn)(
  "a broker that is killed and started again holds up nothing but Kafka, and nothing is missing afterwards",
  async () => {
    const broker = await startKafka();
    onTestFinished(() => broker.stop());
    const { variables, api, rest } = await spawnCluster<"api" | "rest">({
      processes: { api: "api", rest: "all" },
      kafka: true,
      env: { RUNLEDGER_KAFKA: broker.address },
    });
    const prefix = variables.RUNLEDGER_KAFKA_TOPIC_PREFIX ?? "";
    const topic = await openTopic({ address: broker.address, prefix });
    const heard = await openHearing(api);
    const book = openBalancedBook([api]);
    const producer = topic.producer();
    await producer.connect();
    onTestFinished(() => producer.disconnect());
    const command = (id: string) =>
      producer.send({
        topic: topic.config.topics.commands,
        messages: [
          {
            key: id,
            value: JSON.stringify({ type: "run.created", data: { workflow: "by-kafka", input: id } }),
            headers: { "command-id": id },
          },
        ],
      });
    const isSent = (id: string) =>
      command(id).then(
        () => true,
        () => false,
      );
    const made = async () =>
      (await api.events("&type=run.created")).filter(({ data }) => data.workflow === "by-kafka");
    const taken = async () => (await made()).map(({ data }) => data.input);

    await underLoad(book, async () => {
      await vi.waitUntil(() => isSent("before"), PATIENCE);
      await vi.waitUntil(async () => (await taken()).includes("before"), PATIENCE);
      await broker.kill();
      await book.more(60); // Nobody who speaks HTTP notices.
    });
    await broker.restart();
    await vi.waitUntil(() => isSent("after"), PATIENCE);
    await vi.waitUntil(async () => (await taken()).includes("after"), PATIENCE);
    for (const { stream } of await made())
      await book.send(
        `/v1/runs/${stream}/events`,
        [{ type: "run.started" }, { type: "run.completed" }],
        stream,
      );
    const { log } = await expectSettled(api, book, heard);
    expect(await taken()).toEqual(["before", "after"]);
    const ids = new Set(log.runs.map(({ id }) => id));
    await vi.waitUntil(async () => new Set(idsOf(await topic.read())).size >= ids.size, PATIENCE);
    expect(new Set(idsOf(await topic.read()))).toEqual(ids);
    expect(rest.complaints().some(({ msg }) => msg === "publisher.behind")).toBe(true);
    for (const { complaints } of [api, rest])
      expect(complaints().length, JSON.stringify(complaints())).toBeLessThanOrEqual(LINES_MAX);
  },
  120_000,
);
