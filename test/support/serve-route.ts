import { createServer } from "node:http";
import { Readable } from "node:stream";
import { POST } from "../../examples/next-route.ts";

// Next.js as far as a route handler sees it: a standard request for each that comes in, and its answer sent.
const server = createServer(async (req, res) => {
  if (req.method !== "POST" || req.url !== "/hooks") return void res.writeHead(404).end();
  const headers = new Headers(Object.entries(req.headers).map(([name, value]) => [name, String(value)]));
  const body = Readable.toWeb(req) as ReadableStream; // Node's types have two of them.
  const request = new Request(`http://127.0.0.1${req.url}`, {
    method: "POST",
    headers,
    body,
    duplex: "half",
  });
  const answer = await POST(request);
  res.writeHead(answer.status, Object.fromEntries(answer.headers)).end(Buffer.from(await answer.bytes()));
});

server.listen(Number(process.env.PORT), "127.0.0.1", () => process.stdout.write("listening\n"));
