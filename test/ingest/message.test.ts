import { describe, expect, it } from "vitest";
import { type Message, openReader } from "../../services/ingest/message.ts";
import { streamOf } from "../../shared/verification/ids.ts";
import { creates, readerOf, received, reports, sent } from "../support/ingesting.ts";
import { openTestLedger } from "../support/open-ledger.ts";

async function reader() {
  const { ledger } = await openTestLedger();
  return { ledger, read: openReader(readerOf(ledger)) };
}

describe("a message", () => {
  it("is a command of the topic, under its header's command id", async () => {
    const { ledger, read } = await reader();
    const headers = { "correlation-id": "order-7", "request-id": "r-1" };
    const asked = read(received({ ...creates("c-1"), headers: { "command-id": "c-1", ...headers } }));
    const actor = { type: "kafka", id: "t.commands" };
    expect(asked).toMatchObject({
      caller: { workspace: "default", actor, requestId: "r-1", correlationId: "order-7" },
      item: { commandId: "c-1", proposed: { type: "run.created" }, shape: { workflow: "welcome" } },
      creates: true,
    });
    expect(read(received(reports("c-2", "c-1", "run.started")))).toMatchObject({
      stream: "stream" in asked && asked.stream,
      item: { commandId: "c-2", shape: { type: "run.started" } },
    });
    expect(ledger.createdBytes("run", "default", "c-1")).toHaveLength(16);
  });

  it("names its run by its id too", async () => {
    const { read } = await reader();
    const runId = "run_01h455vb4pex5vsknk084sn02q";
    expect(read(received(sent("c", { type: "run.started", runId })))).toMatchObject({
      stream: streamOf(runId),
    });
  });

  it("without ids of its own shares the caller of those that it was fetched with", async () => {
    const { ledger, read } = await reader();
    const [one, two, other] = ["a", "b", "c"].map((id, at) =>
      read(
        received({
          ...creates(id),
          headers: { "command-id": id, ...(at === 2 ? { "request-id": "x" } : {}) },
        }),
      ),
    );
    const callerOf = (asked: typeof one) => (asked && "caller" in asked ? asked.caller : undefined);
    expect(callerOf(one)?.requestId).toMatch(/^req_/);
    expect(callerOf(one)).toBe(callerOf(two));
    expect(callerOf(other)?.requestId).toBe("x");
    const later = openReader(readerOf(ledger))(received(creates("d")));
    expect(callerOf(later)?.requestId).not.toBe(callerOf(one)?.requestId);
  });

  it("loses ids that cannot be taken, not itself", async () => {
    const { read } = await reader();
    const headers = { "command-id": "a", "correlation-id": "with space", "request-id": "ü" };
    const asked = read(received({ ...creates("a"), headers }));
    expect(asked).toMatchObject({
      caller: { correlationId: null, requestId: expect.stringMatching(/^req_/) },
    });
  });

  it.each<[string, unknown, string | undefined, string]>([
    ["no command id", { type: "run.created", data: { workflow: "w" } }, undefined, "invalid_command_id"],
    [
      "a command id with a space",
      { type: "run.created", data: { workflow: "w" } },
      "a b",
      "invalid_command_id",
    ],
    ["an empty command id", { type: "run.created", data: { workflow: "w" } }, "", "invalid_command_id"],
    ["another id inside", { type: "run.created", id: "y", data: { workflow: "w" } }, "x", "command_id_twice"],
    ["an unknown type", { type: "run.vanished", runKey: "k" }, "x", "invalid_body"],
    ["an unknown member", { type: "run.started", runKey: "k", surprise: 1 }, "x", "invalid_body"],
    ["no run", { type: "run.started" }, "x", "invalid_body"],
    [
      "two runs",
      { type: "run.started", runKey: "k", runId: "run_01h455vb4pex5vsknk084sn02q" },
      "x",
      "invalid_body",
    ],
    ["a run id that is none", { type: "run.started", runId: "run_1" }, "x", "invalid_body"],
    ["an array", [{ type: "run.started", runKey: "k" }], "x", "invalid_body"],
    [
      "a recipient twice",
      { type: "run.created", data: { workflow: "w", recipients: ["a", "a"] } },
      "x",
      "duplicate_recipients",
    ],
  ])("with %s is refused", async (_, item, commandId, code) => {
    const { read } = await reader();
    const message = received({ ...sent(undefined, {}), value: JSON.stringify(item) });
    if (commandId !== undefined) message.headers = { "command-id": Buffer.from(commandId) };
    expect(read(message)).toMatchObject({ outcome: "refused", code });
  });

  it("may repeat its command id as its item's", async () => {
    const { read } = await reader();
    const item = { type: "run.created", id: "x", data: { workflow: "w" } };
    expect(read(received(sent("x", item)))).toHaveProperty("stream");
  });

  it("with two command ids is refused", async () => {
    const { read } = await reader();
    const message: Message = { ...received(creates("a")), headers: { "command-id": ["a", "a"] } };
    expect(read(message)).toMatchObject({ outcome: "refused", code: "invalid_command_id" });
  });

  it.each<[string, Buffer | null, string]>([
    ["no value", null, "malformed_json"],
    ["an empty value", Buffer.alloc(0), "malformed_json"],
    ["bytes that are not UTF-8", Buffer.from([0x22, 0xff, 0x22]), "malformed_json"],
    ["a text that is not JSON", Buffer.from("{"), "malformed_json"],
    ["a key twice", Buffer.from('{"a":1,"a":2}'), "invalid_body"],
    ["a number that cannot be kept", Buffer.from('{"a":1e400}'), "invalid_body"],
    ["a lone surrogate", Buffer.from('{"a":"\\ud800"}'), "invalid_body"],
    ["too deep a nesting", Buffer.from("[".repeat(65) + "]".repeat(65)), "invalid_body"],
    ["too many bytes", Buffer.from(`"${"a".repeat(1024 * 1024)}"`), "body_too_large"],
  ])("with %s is parked, whether or not it has a command id", async (_, value, code) => {
    const { read } = await reader();
    expect(read({ ...received(creates("a")), value })).toMatchObject({ outcome: "parked", code });
    expect(read({ ...received(creates("a")), value, headers: {} })).toMatchObject({ outcome: "parked" });
  });
});
