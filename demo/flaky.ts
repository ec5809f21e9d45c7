// A step that needs three attempts. Something slow is putting a list of files together; each attempt finds it
// further along: nothing there yet, there but written halfway, and at last whole. node flaky.ts <folder>
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const list = join(process.argv[2] ?? ".", "files.json");
const whole = JSON.stringify({ files: ["README.md", "package.json"] });

/** The slow one: one stroke of work a time. */
const goOn = (): void => writeFileSync(list, existsSync(list) ? whole : whole.slice(0, 20));

try {
  const { files }: { files: string[] } = JSON.parse(readFileSync(list, "utf8"));
  process.stdout.write(`${files.length} files listed\n`);
} catch (error) {
  goOn();
  throw error;
}
