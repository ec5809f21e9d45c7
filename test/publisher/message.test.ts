import { describe, expect, it } from "vitest";
import { isPublished, renderMessage } from "../../services/publisher/message.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { openMemoryEventStore } from "../support/memory-event-store.ts";
import { recorder } from "../support/recording.ts";

const LEDGER = "00112233445566778899aabbccddeeff";
const bare = { content: false, deliveries: false };

async function event(type: string, data = {}, content?: Record<string, string>): Promise<RecordedEvent> {
  const store = openMemoryEventStore(LEDGER);
  const kind = type.slice(0, type.indexOf("."));
  await recorder(store).record(`${kind}-00000000000000000000000007`, type, data, content);
  const [recorded] = store.events;
  if (!recorded) throw new Error("nothing was recorded");
  return recorded;
}

describe("what is published", () => {
  it.each(["run-1", "job_run-1"])("has the events of %s", (stream) => {
    expect(isPublished({ stream }, bare)).toBe(true);
  });

  it.each(["ledger-1", "workspace-a", "api_key-1", "endpoint-1", "job-1", "replay-1", "refusal-1", "runs-1"])(
    "has nothing of %s, whatever is asked for",
    (stream) => expect(isPublished({ stream }, { content: true, deliveries: true })).toBe(false),
  );

  it("has deliveries where they are asked for", () => {
    expect(isPublished({ stream: "delivery-1" }, bare)).toBe(false);
    expect(isPublished({ stream: "delivery-1" }, { ...bare, deliveries: true })).toBe(true);
  });
});

describe("a message", () => {
  it("tells in its headers, as text, which event it is", async () => {
    const recorded = await event("run.created", { workflow: "welcome" });
    const { key, headers, value } = renderMessage(recorded, LEDGER, bare);
    expect(key).toBe("run_00000000000000000000000007");
    expect(headers).toEqual({
      "ledger-id": LEDGER,
      "event-id": recorded.id,
      "run-id": key,
      "run-revision": "0",
      position: "1",
      schema: "run.created/1",
      "leaf-hash": Buffer.from(recorded.leaf).toString("hex"),
    });
    expect(JSON.parse(`${value}`)).toMatchObject({
      id: recorded.id,
      stream: key,
      type: "run.created",
      revision: 0,
      position: "1",
      data: { workflow: "welcome" },
      hash: headers["leaf-hash"],
    });
  });

  it("has no salt: with it, what was left out could be guessed", async () => {
    const { value } = renderMessage(await event("run.created", {}, { input: "Ada" }), LEDGER, bare);
    expect(`${value}`).not.toMatch(/[sS]alt|"Ada"/); // Not any case: hashes have such letters too.
  });

  it("says that content was left out, and only where there was some", async () => {
    const without = renderMessage(await event("run.created"), LEDGER, bare);
    expect(JSON.parse(`${without.value}`)).not.toHaveProperty("redacted");
    const redacted = renderMessage(await event("run.created", {}, { input: "Ada" }), LEDGER, bare);
    expect(JSON.parse(`${redacted.value}`)).toMatchObject({ redacted: true, data: {} });
  });

  it("has the content where it is asked for, and says where it was erased", async () => {
    const recorded = await event("run.created", {}, { input: "Ada" });
    const whole = renderMessage(recorded, LEDGER, { ...bare, content: true });
    expect(JSON.parse(`${whole.value}`)).toMatchObject({ data: { input: "Ada" } });
    const { content: _, ...erased } = recorded;
    const rest = renderMessage(erased, LEDGER, { ...bare, content: true });
    expect(JSON.parse(`${rest.value}`)).toMatchObject({ erased: true, data: {} });
  });

  it("knows its bytes, whatever they spell", async () => {
    const recorded = await event("run.created", {}, { input: "ü".repeat(1000) });
    const { bytes, value } = renderMessage(recorded, LEDGER, { ...bare, content: true });
    expect(value.length).toBeGreaterThan(2000);
    expect(bytes).toBeGreaterThan(value.length);
  });

  it("of a delivery goes under the delivery's id, which is no run's", async () => {
    const { key, headers } = renderMessage(await event("delivery.attempted"), LEDGER, bare);
    expect(key).toBe("delivery_00000000000000000000000007");
    expect(headers).toMatchObject({ "delivery-id": key, "delivery-revision": "0" });
    expect(headers).not.toHaveProperty("run-id");
  });
});
