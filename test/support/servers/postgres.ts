import type { Running } from "./server.ts";

export async function startPostgres(): Promise<Running> {
  throw new Error("not there yet");
}
