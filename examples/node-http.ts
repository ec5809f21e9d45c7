import { createServer } from "node:http";
import { openReceiver } from "runledger/receiver";

const receiver = openReceiver({ secrets: [process.env.WEBHOOK_SECRET ?? ""] });

// The request itself is the body: it is read as it comes, and no more of it than may be.
const server = createServer(async (req, res) => {
  if (req.method !== "POST" || req.url !== "/hooks") return void res.writeHead(404).end();
  const answer = await receiver.receive({ headers: req.headers, body: req }, (event) => {
    console.log(`${event.type} ${event.data.run?.id}`);
  });
  res.writeHead(answer.status).end(answer.body);
});

server.listen(Number(process.env.PORT), "127.0.0.1", () => console.log("listening"));
