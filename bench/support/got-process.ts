import { Agent } from "node:http";
import got from "got";

/** What delivering costs that keeps nothing: got, posting the same bytes over kept connections. */
type Job = {
  urls: readonly string[];
  headers: Record<string, string>;
  body: string;
  inFlight: number;
  ms: number;
};

async function run({ urls, headers, body, inFlight, ms }: Job): Promise<number> {
  const agent = { http: new Agent({ keepAlive: true, maxSockets: inFlight }) };
  const client = got.extend({ retry: { limit: 0 }, followRedirect: false, throwHttpErrors: false, agent });
  const endMs = performance.now() + ms;
  let posted = 0;
  const drive = async (_: unknown, lane: number) => {
    const url = urls[lane % urls.length] ?? "";
    while (performance.now() < endMs) {
      await client.post(url, { headers, body: Buffer.from(body, "latin1") });
      posted++;
    }
  };
  const startMs = performance.now();
  await Promise.all(Array.from({ length: inFlight }, drive));
  agent.http.destroy();
  return posted / ((performance.now() - startMs) / 1000);
}

process.on("message", (job: Job) => void run(job).then((perSecond) => process.send?.(perSecond)));
process.once("disconnect", () => process.exit(0));
