import { createServer } from "node:http";
import { openReceiver, stateFromLedger } from "runledger/receiver";

const { WEBHOOK_SECRET = "", LEDGER_URL = "", LEDGER_KEY = "", ENDPOINT_ID = "", PORT } = process.env;

const receiver = openReceiver({
  secrets: [WEBHOOK_SECRET],
  // The events of a run wait for each other, for five seconds at most.
  order: { waitMs: 5000 },
  // What did not come in time may have been superseded: the ledger knows.
  stateOf: stateFromLedger({ url: LEDGER_URL, key: LEDGER_KEY, endpointId: ENDPOINT_ID }),
});

const server = createServer(async (req, res) => {
  const answer = await receiver.receive(
    { headers: req.headers, body: req },
    async (event, { missing, late }) => {
      if (missing) await readWhatIsMissing(missing.run);
      console.log(`${event.type}${late ? ", late" : ""}`);
    },
  );
  res.writeHead(answer.status).end(answer.body);
});

/** The ledger tells again, in order, everything that happened to a run. */
async function readWhatIsMissing(run: string): Promise<void> {
  const headers = { authorization: `Bearer ${LEDGER_KEY}` };
  const answer = await fetch(`${LEDGER_URL}/v1/runs/${run}/events`, { headers });
  if (!answer.ok) throw new Error(`the ledger answered ${answer.status}`); // So this event is sent again.
  const { items }: { items: { type: string }[] } = JSON.parse(await answer.text());
  console.log(`the run so far: ${items.map(({ type }) => type).join(", ")}`);
}

server.listen(Number(PORT), "127.0.0.1", () => console.log("listening"));
