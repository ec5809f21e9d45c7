// A process that posts: `node post-child.ts <options as JSON>`. Each line on stdin is a round, URLs as JSON;
// it says their outcomes, and how much more memory the process has had at most since it began.
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { openPoster } from "../../services/dispatcher/post.ts";
import { parseAllowList } from "../../shared/webhooks/targets.ts";

const { allow, timeouts } = JSON.parse(process.argv[2] ?? "{}");
const poster = openPoster({
  allow: parseAllowList(allow),
  socketsMax: 128,
  socketsPerOriginMax: 32,
  timeouts,
});
const body = Buffer.from('{"id":"delivery_1"}');
const peakBytes = () => process.resourceUsage().maxRSS * 1024;
const before = peakBytes();

for await (const line of createInterface({ input: process.stdin })) {
  const urls: string[] = JSON.parse(line);
  const outcomes = await Promise.all(urls.map((url) => poster.post({ url, headers: {}, body })));
  writeSync(1, `${JSON.stringify({ outcomes, grownBytes: peakBytes() - before })}\n`);
}
