import express from "express";
import { openReceiver } from "runledger/receiver";

const receiver = openReceiver({ secrets: [process.env.WEBHOOK_SECRET ?? ""] });
const app = express();

// Before any `express.json()`: what is signed are the bytes, not what a parser made of them.
app.post("/hooks", async (req, res) => {
  const answer = await receiver.receive({ headers: req.headers, body: req }, (event) => {
    console.log(`${event.type} ${event.data.run?.id}`);
  });
  res.status(answer.status).send(answer.body);
});

app.use(express.json());
app.post("/echo", (req, res) => void res.json(req.body));

app.listen(Number(process.env.PORT), "127.0.0.1", () => console.log("listening"));
