import { openReceiver } from "./receiver.ts";

/** Counts what it receives, at so many origins; to any message it answers with the number so far and the last
 *  request. */
let count = 0;
let last = "";
const ports: number[] = [];
for (let origin = 0; origin < Number(process.argv[2] ?? 1); origin++)
  ports.push(
    await openReceiver((text) => {
      count++;
      last = text;
    }),
  );
process.on("message", () => process.send?.({ count, last }));
process.once("disconnect", () => process.exit(0));
process.send?.(ports);
