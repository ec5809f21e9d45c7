import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Bench } from "./support/bench.ts";

/** `npm run bench -- <name>`: measures one promise and prints one JSON object; without a name, lists them. */
const folder = fileURLToPath(new URL(".", import.meta.url));
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".ts") && file !== "bench.ts")
  .map((file) => file.slice(0, -".ts".length));

const [name] = process.argv.slice(2);
if (name !== undefined && existsSync(`${folder}${name}.ts`)) {
  const { bench } = (await import(`./${name}.ts`)) as { bench: Bench };
  const { met, ...details } = await bench.run();
  const result = { name, target: bench.target, met: met && details.void === undefined, ...details };
  console.log(JSON.stringify(result, null, 2));
  process.exit(0);
}
console.log(`npm run bench -- <name>, one of:\n${names.map((each) => `  ${each}`).join("\n")}`);
process.exit(name === undefined ? 0 : 1);
