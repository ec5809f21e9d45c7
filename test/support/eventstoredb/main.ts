import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Command } from "./control.ts";
import { openGrpcServer } from "./grpc-server.ts";
import { openStoredFile } from "./stored-file.ts";
import { openStoredStreams } from "./stored-streams.ts";

// A server of its own process: `node main.ts [port] [file]`. It says on one line where it listens, and ends
// when whoever started it is gone.
const [port = "0", file = ""] = process.argv.slice(2);
const kept = file === "" ? undefined : openStoredFile(file);
const store = openStoredStreams(kept ? { keep: kept.keep } : {});
for (const event of kept?.read() ?? []) store.take(event);
store.begin();
const server = openGrpcServer(store);

const control = createServer(async (req, res) => {
  try {
    const chunks = await req.toArray();
    const asked = JSON.parse(Buffer.concat(chunks).toString("utf8")) as Command; // Only our own tests ask.
    res.end(JSON.stringify(await server.command(asked)));
  } catch (error) {
    res.writeHead(500).end((error as Error).stack);
  }
});
control.listen(0, "127.0.0.1");
await once(control, "listening");
const at = { port: await server.listen(Number(port)), control: (control.address() as AddressInfo).port };
process.stdout.write(`${JSON.stringify(at)}\n`);
process.stdin.resume().on("end", () => process.exit());
