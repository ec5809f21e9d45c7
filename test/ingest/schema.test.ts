import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { openReader } from "../../services/ingest/message.ts";
import { BatchItem } from "../../shared/intake/items.ts";
import { readerOf, received, sent } from "../support/ingesting.ts";
import { openTestLedger } from "../support/open-ledger.ts";

const page = new URL("../../docs/kafka-commands.md", import.meta.url);

describe("the published schema of commands", () => {
  // `vitest run test/ingest/schema.test.ts -u` makes it anew.
  it("is what messages are held against", async () => {
    const schema = {
      ...z.toJSONSchema(BatchItem, { io: "input", target: "draft-2020-12" }),
      title: "A command",
      description: "The value of a message of the topic of commands.",
    };
    await expect(`${JSON.stringify(schema, null, 2)}\n`).toMatchFileSnapshot(
      "../../docs/kafka-commands.schema.json",
    );
  });
});

describe("the page on commands", () => {
  const examples = [...readFileSync(page, "utf8").matchAll(/```json\n(.*?)```/gs)].map(
    ([, text]) => `${text}`,
  );

  it("has examples that are taken", async () => {
    const { ledger } = await openTestLedger();
    const read = openReader(readerOf(ledger));
    const items = examples.map((text) => JSON.parse(text) as object).filter((each) => "type" in each);
    expect(items.length).toBeGreaterThan(2);
    for (const item of items) expect(read(received(sent("welcome-42", item)))).toHaveProperty("stream");
  });
});
