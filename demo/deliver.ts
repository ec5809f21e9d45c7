// Puts a letter into a mailbox, which is a folder: node deliver.ts <letter> <mailbox>
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

const [letter = "", mailbox = ""] = process.argv.slice(2);
const target = join(mailbox, basename(letter));
writeFileSync(target, readFileSync(letter));
process.stdout.write(`${basename(letter)} is in ${basename(mailbox)}\n`);
