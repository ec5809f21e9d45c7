// The whole story, in separate processes: a server, a webhook receiver that knows none of our code, and a
// producer that executes real commands. In the middle of it the server is killed and started again. At the
// end: what happened, and the proof that nothing was lost. Ends with 0 only if all of it is true.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Api, openApi } from "./api.ts";
import { type Book, openBook } from "./book.ts";
import { gather } from "./gather.ts";
import { end, endAll, freePort, newKey, type Place, startProgram, startServer } from "./processes.ts";
import { prove } from "./prove.ts";
import { claims } from "./report.ts";
import { show } from "./show.ts";

const BOUND_MS = 60_000;
/** Pauses before the attempts of a delivery: shorter than the default ones, since somebody is watching. */
const SCHEDULE_MS = [0, 1000, 2000, 3000, 5000];

const startedMs = Date.now();
const say = (text: string): void =>
  console.log(`${((Date.now() - startedMs) / 1000).toFixed(1).padStart(6)} s  ${text}`);

const failure = Promise.withResolvers<never>();
failure.promise.catch(() => {}); // It may come when nobody waits any more.
const fail = (error: Error): void => failure.reject(error);

/** A key that may do only this. */
async function makeKey(api: Api, name: string, permissions: string[]): Promise<string> {
  const made = await api.post<{ key: string }>("/v1/keys", { name, permissions }, `key.${name}`);
  return made.key;
}

/** Starts the two programs and tells them what they need. Each gets a key of its own that can do no more
 *  than it must. */
async function startPrograms(book: Book, api: Api, url: string, folder: string) {
  const receiver = startProgram(new URL("./receiver.ts", import.meta.url), book.take, fail);
  await book.until(({ receiverUrl }) => receiverUrl !== undefined);
  const endpoint = await api.post<{ secret: string }>(
    "/v1/webhook-endpoints",
    { url: book.receiverUrl, recipientRuns: true, scheduleMs: SCHEDULE_MS },
    "endpoint.receiver",
  );
  say(`receiver: ${book.receiverUrl}, will answer its first delivery with 503`);
  receiver.send({
    secret: endpoint.secret,
    api: url,
    key: await makeKey(api, "receiver", ["runs:answer"]),
  });
  const producer = startProgram(new URL("./producer.ts", import.meta.url), book.take, fail);
  const may = ["runs:create", "runs:record", "runs:read", "runs:read_payload", "events:read"];
  producer.send({ api: url, key: await makeKey(api, "producer", may), folder });
  say("producer: executes release-check, then notify");
}

const ends = /^run\.(completed|failed)$/;

/** Kills the server when the first recipient's end reaches the receiver: that delivery is in flight then,
 *  and recipients  are still being served. Answers with the new server and with how many recipient runs
 *  were open. */
async function killAndStart(book: Book, server: Awaited<ReturnType<typeof startServer>>, place: Place) {
  const recipientRuns = () => book.created.flatMap((created) => created.recipientRuns);
  await book.until(({ received }) =>
    received.some(({ runId, type }) => ends.test(type) && recipientRuns().some(({ id }) => id === runId)),
  );
  const ended = book.acknowledged.filter(({ type }) => ends.test(type)).map(({ runId }) => runId);
  const open = recipientRuns().filter(({ id }) => !ended.includes(id)).length;
  await end(server, "SIGKILL");
  say(`server: killed with SIGKILL; ${open} of ${recipientRuns().length} recipient runs are open`);
  const again = await startServer(place);
  say("server: started again on the same folder, and ready");
  return { again, open };
}

/** Everything, from an empty folder to the proof. */
async function story(folder: string): Promise<boolean> {
  const place = { data: join(folder, "data"), port: await freePort(), key: newKey() };
  const url = `http://127.0.0.1:${place.port}`;
  const server = await startServer(place);
  say(`server: ${url}, with a folder of its own`);
  const api = openApi(url, place.key);
  const book = openBook(say, fail);
  await startPrograms(book, api, url, folder);
  const { again, open } = await killAndStart(book, server, place);
  await book.until(({ done }) => done !== undefined);
  say("producer: done");
  const gathered = await gather(api);
  say("receiver: has everything that it is owed");
  const exitCode = await end(again, "SIGTERM");
  console.log(show(gathered));
  const proof = prove(gathered, book, { openAtKill: open, exitCode });
  console.log(claims("Proof", proof));
  return proof.every(({ ok }) => ok);
}

const timer = setTimeout(() => fail(new Error(`not done after ${BOUND_MS / 1000} s`)), BOUND_MS);
let exitCode = 1;
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)
  process.once(signal, () => {
    exitCode = code;
    fail(new Error(`ended by ${signal}`));
  });
const folder = await mkdtemp(join(tmpdir(), "runledger-demo-"));
try {
  if (await Promise.race([story(folder), failure.promise])) exitCode = 0;
  say(exitCode === 0 ? "all of it is true" : "not all of it is true");
} catch (error) {
  say(`FAILED: ${error instanceof Error ? error.message : error}`);
}
clearTimeout(timer);
await endAll();
await rm(folder, { recursive: true, force: true });
process.exit(exitCode);
