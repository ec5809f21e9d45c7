import type { ProducerRecord } from "kafkajs";
import { describe, expect, it } from "vitest";
import { openAnswers, Unanswered } from "../../services/ingest/answering.ts";
import type { Message, Verdict } from "../../services/ingest/message.ts";
import { creates, received } from "../support/ingesting.ts";

const topics = { refusals: "t.refusals", parked: "t.parked" };
const refused: Verdict = {
  outcome: "refused",
  code: "idempotency_conflict",
  detail: "taken",
  extras: { position: 7n, errors: [{ pointer: "/a", detail: "no" }] },
};
const parked: Verdict = { outcome: "parked", code: "malformed_json", detail: "x".repeat(900), extras: {} };

const tooLarge = Object.assign(new Error("too large"), { type: "MESSAGE_TOO_LARGE" });

function answering(fails: (record: ProducerRecord) => Error | undefined = () => undefined) {
  const sent: ProducerRecord[] = [];
  const answer = openAnswers({
    topics,
    async send(record) {
      const error = fails(record);
      if (error) throw error;
      sent.push(record);
    },
  });
  return {
    sent,
    answer: (pairs: [Message, Verdict][]) =>
      answer(
        pairs.map(([each]) => each),
        new Map(pairs),
      ),
  };
}

const message = (offset: number, bytes?: Buffer): Message => ({
  ...received(creates("c-1"), offset),
  ...(bytes ? { value: bytes } : {}),
});

describe("an answer", () => {
  it("says why a command is refused and where it was read, never what was sent", async () => {
    const { sent, answer } = answering();
    await answer([
      [message(3), refused],
      [message(4), { outcome: "recorded" }],
    ]);
    expect(sent).toHaveLength(1);
    expect(sent[0]).toMatchObject({ topic: "t.refusals", acks: -1 });
    expect(sent[0]?.messages).toHaveLength(1);
    const [refusal] = sent[0]?.messages ?? [];
    expect(JSON.parse(`${refusal?.value}`)).toEqual({
      code: "idempotency_conflict",
      detail: "taken",
      position: "7",
      errors: [{ pointer: "/a", detail: "no" }],
    });
    expect(`${refusal?.key}`).toBe("c-1");
    const headers = Object.entries(refusal?.headers ?? {}).map(([name, value]) => [name, `${value}`]);
    expect(Object.fromEntries(headers)).toEqual({
      "origin-topic": "t.commands",
      "origin-partition": "0",
      "origin-offset": "3",
      "origin-key": "c-1",
      "command-id": "c-1",
      "refusal-code": "idempotency_conflict",
    });
  });

  it("parks a message with its own bytes, key and headers", async () => {
    const { sent, answer } = answering();
    const bytes = Buffer.from([1, 255, 0]);
    await answer([[{ ...message(9, bytes), key: null, headers: { a: [Buffer.from("1"), "2"] } }, parked]]);
    const [record] = sent;
    expect(record?.topic).toBe("t.parked");
    expect(record?.messages[0]).toMatchObject({
      key: null,
      value: bytes,
      headers: { a: [Buffer.from("1"), "2"], "origin-offset": "9", "parked-code": "malformed_json" },
    });
    expect(record?.messages[0]?.headers?.["parked-detail"]).toHaveLength(500);
  });

  it("is sent in portions that a broker takes", async () => {
    const { sent, answer } = answering();
    const bytes = Buffer.alloc(100 * 1024);
    await answer([0, 1, 2, 3, 4].map((offset) => [message(offset, bytes), parked]));
    expect(sent.map(({ messages }) => messages.length)).toEqual([2, 2, 1]);
  });

  it("that is too large together is sent one by one, then compressed, then without its value", async () => {
    const { sent, answer } = answering((record) => {
      const bytes = record.messages.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
      return bytes > (record.compression ? 100 : 10) ? tooLarge : undefined;
    });
    await answer([8, 50, 200].map((bytes, offset) => [message(offset, Buffer.alloc(bytes)), parked]));
    expect(sent.map(({ messages, compression }) => [messages[0]?.value?.length, compression])).toEqual([
      [8, undefined],
      [50, 1],
      [undefined, undefined],
    ]);
    expect(sent[2]?.messages[0]?.headers).toMatchObject({
      "origin-offset": "2",
      "parked-bytes": "200",
      "parked-sha256": expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  it("that nobody acknowledges is none: the message is not settled", async () => {
    const { answer } = answering(() => new Error("no broker"));
    await expect(answer([[message(0), refused]])).rejects.toBeInstanceOf(Unanswered);
  });
});
