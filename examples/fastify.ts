import fastify from "fastify";
import { openReceiver } from "runledger/receiver";

const receiver = openReceiver({ secrets: [process.env.WEBHOOK_SECRET ?? ""] });
const app = fastify();

// In a scope of its own: here bodies stay bytes, everywhere else they are parsed as usual.
app.register(async (hooks) => {
  hooks.removeAllContentTypeParsers();
  hooks.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  hooks.post<{ Body: Buffer }>("/hooks", async ({ headers, body }, reply) => {
    const answer = await receiver.receive({ headers, body }, (event) => {
      console.log(`${event.type} ${event.data.run?.id}`);
    });
    return reply.code(answer.status).send(answer.body ?? "");
  });
});

app.post("/echo", async ({ body }) => body);

await app.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
console.log("listening");
