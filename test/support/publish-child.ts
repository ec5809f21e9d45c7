// A publisher in a process of its own: `node publish-child.ts <folder> <broker> <prefix> <save>`. It is
// killed, as the system would, when it was about to store its position for that time: what it had sent is
// acknowledged.
import { writeSync } from "node:fs";
import { openPublisher } from "../../services/publisher/publisher.ts";
import { openSqliteEventReader } from "../../shared/event-store/sqlite-event-reader.ts";
import { openKafka } from "../../shared/kafka/client.ts";
import { openSqlitePositions } from "../../shared/leases/sqlite-positions.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import { kafkaConfig } from "./kafka-config.ts";

const [folder = "", broker = "", prefix = "", fatal = ""] = process.argv.slice(2);
const config = kafkaConfig(broker, prefix);
const silent = { debug() {}, info() {}, warn() {} };
const positions = openSqlitePositions(folder);
let saves = 0;
const publisher = openPublisher({
  store: openSqliteEventReader(folder),
  kafka: await openKafka(config, { name: "child", log: silent }),
  config,
  positions: {
    find: positions.find,
    async save(name, at, lease) {
      if (++saves === Number(fatal)) process.kill(process.pid, "SIGKILL");
      await positions.save(name, at, lease);
      writeSync(1, `saved ${at.position}\n`);
    },
  },
  clock: systemClock,
  log: silent,
});
const { signal } = new AbortController();
const lease = { name: "publisher", token: 1n, signal, release: async () => {} };
await publisher.run(lease, signal);
