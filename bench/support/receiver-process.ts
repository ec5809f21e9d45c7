import { createServer } from "node:net";
import { openReceiver } from "./receiver.ts";

/** `receiver-process.ts <origins> <count|hang>`: counts what it receives, at so many origins, or accepts
 *  connections there and never answers; to any message it answers with the number so far and the last
 *  request. */
const [, , origins = "1", kind = "count"] = process.argv;
let count = 0;
let last = "";
const ports: number[] = [];

function openHole(): Promise<number> {
  const server = createServer((socket) => socket.on("error", () => socket.destroy()).resume());
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
}

const openCounter = (): Promise<number> =>
  openReceiver((text) => {
    count++;
    last = text;
  });

for (let origin = 0; origin < Number(origins); origin++)
  ports.push(await (kind === "hang" ? openHole() : openCounter()));
process.on("message", () => process.send?.({ count, last }));
process.once("disconnect", () => process.exit(0));
process.send?.(ports);
