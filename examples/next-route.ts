import { openReceiver } from "runledger/receiver";

// As `app/hooks/route.ts`. On the runtime `nodejs`, which is the default: signatures need `node:crypto`.
const receiver = openReceiver({ secrets: () => [process.env.WEBHOOK_SECRET ?? ""] });

export async function POST(request: Request): Promise<Response> {
  const answer = await receiver.receive(request, (event) => {
    console.log(`${event.type} ${event.data.run?.id}`);
  });
  return new Response(answer.body, { status: answer.status });
}
