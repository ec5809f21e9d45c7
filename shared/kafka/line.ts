import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ISocketFactory, Kafka, KafkaConfig as KafkaJsConfig, SASLOptions } from "kafkajs";
import type { KafkaConfig } from "../platform/engines.ts";
import { type KafkaLog, logCreatorFor } from "./client-log.ts";
import { installCodecs } from "./codecs.ts";
import { KafkaTimeout } from "./errors.ts";
import { letIdleConnectionsRest } from "./idle.ts";

/** A client of its own, with sockets of its own. The library hangs where a broker vanished, and then cannot
 *  be  used again: a line can be cut, whatever it is doing, and another one opened. */
export type Line = {
  kafka: Kafka;
  /** Ends every socket; none is opened again. Whoever still waits for an answer is told. */
  cut(): void;
};

export const CONNECT_MS = 10_000;
/** A broker that is there answers in this time. */
const REQUEST_MS = 10_000;
const SOCKET_MS = 3000;
const KEEP_ALIVE_MS = 60_000;

/** The library tries so often by itself; what we promise is our own deadline around it. */
export const RETRY = { initialRetryTime: 200, maxRetryTime: 1000, factor: 0.2, multiplier: 2, retries: 5 };

type LineOptions = { log: KafkaLog; name: string };

/** The library is loaded when it is first needed: it costs time at the start. */
export async function openLines(config: KafkaConfig, { log, name }: LineOptions): Promise<() => Line> {
  const { default: kafkajs } = await import("kafkajs");
  letIdleConnectionsRest();
  installCodecs(kafkajs.CompressionCodecs);
  const common: KafkaJsConfig = {
    brokers: [...config.brokers],
    clientId: name,
    ssl: config.tls,
    // They have a type for each mechanism. The library writes into what it is given: it gets a copy.
    ...(config.sasl === undefined ? {} : { sasl: { ...config.sasl } as SASLOptions }),
    connectionTimeout: SOCKET_MS,
    requestTimeout: REQUEST_MS,
    retry: RETRY,
    logLevel: kafkajs.logLevel.INFO,
    logCreator: logCreatorFor(log),
  };
  return () => {
    const sockets = new Set<Socket>();
    let isCut = false;
    const socketFactory: ISocketFactory = ({ host, port, ssl, onConnect }) => {
      if (isCut) throw new Error("this line was cut");
      const servername = isIP(host) ? {} : { servername: host };
      const socket = ssl
        ? connectTls({ host, port, ...servername, ...ssl }, onConnect)
        : connectPlain({ host, port }, onConnect);
      socket.setKeepAlive(true, KEEP_ALIVE_MS);
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      return socket;
    };
    return {
      kafka: new kafkajs.Kafka({ ...common, socketFactory }),
      cut() {
        isCut = true;
        // Without an error the library would not notice.
        for (const socket of sockets) socket.destroy(new Error("this line was cut"));
      },
    };
  };
}

/** The same promise, or a `KafkaTimeout` after so long. */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new KafkaTimeout(`Kafka did not ${what} within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

const GOODBYE_MS = 3000;

/** Disconnects, and cuts the line when that takes too long. Never rejects. */
export async function hangUp(line: Line, disconnect: () => Promise<void>): Promise<void> {
  await within(GOODBYE_MS, "let go", disconnect()).catch(() => undefined);
  line.cut();
}
