import type { Running } from "./server.ts";

export async function startKafka(): Promise<Running> {
  throw new Error("not there yet");
}
