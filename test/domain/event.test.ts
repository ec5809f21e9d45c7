import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  accept,
  event,
  Instant,
  Name,
  parseInstant,
  Reason,
  refuse,
  split,
  unreachable,
} from "../../shared/domain/event.ts";
import { runEvent } from "../../shared/domain/run/events.ts";

describe("an instant", () => {
  it.each([
    ["2026-08-15T10:00:00Z", "2026-08-15T10:00:00.000Z"],
    ["2026-08-15T10:00:00.1Z", "2026-08-15T10:00:00.100Z"],
    ["2026-08-15T10:00:00.999999999Z", "2026-08-15T10:00:00.999Z"],
    ["2026-08-15t10:00:00z", "2026-08-15T10:00:00.000Z"],
    ["2026-08-15T10:00:00+02:00", "2026-08-15T08:00:00.000Z"],
    ["2026-08-15T10:00:00.250-23:59", "2026-08-16T09:59:00.250Z"],
    ["2026-08-15T10:00:00-00:00", "2026-08-15T10:00:00.000Z"],
    ["2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"],
    ["2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000Z"],
    ["2026-12-31T23:30:00-01:00", "2027-01-01T00:30:00.000Z"],
    ["0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"],
    ["0099-06-01T00:00:00Z", "0099-06-01T00:00:00.000Z"],
    ["9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"],
  ])("%s is %s", (text, instant) => expect(parseInstant(text)).toBe(instant));

  it.each([
    "",
    "2026-08-15",
    "2026-08-15T10:00Z",
    "2026-08-15T10:00:00",
    "2026-08-15 10:00:00Z",
    "2026-08-15T10:00:00.Z",
    "2026-08-15T10:00:60Z",
    "2026-08-15T24:00:00Z",
    "2026-08-15T10:60:00Z",
    "2026-08-15T10:00:00+24:00",
    "2026-08-15T10:00:00+02:60",
    "2026-08-15T10:00:00+0200",
    "2026-02-30T10:00:00Z",
    "2026-02-29T10:00:00Z",
    "1900-02-29T10:00:00Z",
    "2026-04-31T10:00:00Z",
    "2026-13-01T10:00:00Z",
    "2026-00-01T10:00:00Z",
    "2026-01-00T10:00:00Z",
    "2026-01-32T10:00:00Z",
    "12026-08-15T10:00:00Z",
    "+002026-08-15T10:00:00Z",
    "-2026-08-15T10:00:00Z",
    "26-08-15T10:00:00Z",
    "0000-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    " 2026-08-15T10:00:00Z",
    "2026-08-15T10:00:00Z\n",
    "２026-08-15T10:00:00Z",
    "1755252000000",
    "yesterday",
  ])("%j is none", (text) => expect(parseInstant(text)).toBeUndefined());

  it("is the same moment that a Date knows, whatever offset it is written in", () => {
    const moments = fc.date({
      min: new Date("0001-01-03"),
      max: new Date("9998-12-29"),
      noInvalidDate: true,
    });
    const offsets = fc.integer({ min: -(23 * 60 + 59), max: 23 * 60 + 59 });
    fc.assert(
      fc.property(moments, offsets, (moment, offset) => {
        const wall = new Date(moment.getTime() + offset * 60_000).toISOString().slice(0, -1);
        const two = (value: number) => `${value}`.padStart(2, "0");
        const minutes = Math.abs(offset);
        const sign = offset < 0 ? "-" : "+";
        const text = `${wall}${sign}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
        expect(parseInstant(text)).toBe(moment.toISOString());
        expect(parseInstant(moment.toISOString())).toBe(moment.toISOString());
      }),
    );
  });

  it("is parsed where an event has one, and nothing else is", () => {
    expect(Instant.parse("2026-08-15T12:00:00.5+02:00")).toBe("2026-08-15T10:00:00.500Z");
    for (const wrong of ["tomorrow", 1755252000000, null, undefined, new Date()])
      expect(Instant.safeParse(wrong).success).toBe(false);
  });
});

describe("a name", () => {
  it.each(["a", "x".repeat(255), "Größe", "💡", " ", "__proto__", "\u00a0"])("may be %j", (name) =>
    expect(Name.parse(name)).toBe(name),
  );
  it.each(["", "x".repeat(256), "a\u0000", "\n", "a\tb", "\u001f", "\u007f", "\u0080", "\u009f", 1, null])(
    "is never %j",
    (name) => expect(Name.safeParse(name).success).toBe(false),
  );
});

describe("a reason", () => {
  it.each(["a", "no_route.4-b", "x".repeat(64)])("may be %j", (reason) =>
    expect(Reason.parse(reason)).toBe(reason),
  );
  it.each(["", "No", "a b", "ä", "x".repeat(65), "a\n"])("is never %j", (reason) =>
    expect(Reason.safeParse(reason).success).toBe(false),
  );
});

describe("a decision", () => {
  it("is a value", () => {
    expect(accept({ type: "a.b", data: {} })).toEqual({ accepted: true, event: { type: "a.b", data: {} } });
    expect(refuse("no", "because")).toEqual({ accepted: false, code: "no", detail: "because" });
  });
  it("is never about what nothing was said of", () => {
    expect(() => unreachable("run.unheard_of" as never)).toThrow("run.unheard_of");
  });
});

describe("what is proposed", () => {
  const parse = (type: string, json: string) => runEvent.get(type)?.proposed.safeParse(JSON.parse(json));
  const wait = '"waitId":"wait_01h455vb4pex5vsknk084sn02q"';

  it.each([
    ["run.awaiting_input", `{"prompt":"?",${wait}}`],
    ["run.awaiting_approval", `{${wait}}`],
    ["run.failed", '{"hasError":true}'],
    ["run.errored", '{"hasError":false}'],
    ["run.timed_out", '{"recipientRuns":{"total":1,"byStatus":{}}}'],
    ["run.completed", '{"recipientRuns":{"total":1,"byStatus":{}}}'],
    ["run.cancelled", '{"recipientRuns":{"total":1,"byStatus":{}}}'],
    ["run.created", '{"workflow":"w","recipientCount":1}'],
    ["run.created", '{"workflow":"w","recipientIndex":0}'],
    ["run.created", '{"workflow":"w","recipient":"ada"}'],
  ])("brings nothing that the ledger makes: %s %s", (type, json) =>
    expect(parse(type, json)?.success).toBe(false),
  );

  it.each([
    ["run.started", '{"note":"now"}'],
    ["run.completed", '{"result":1}'],
    ["run.created", '{"workflow":"w","status":"completed"}'],
    ["run.started", '{"__proto__":{}}'],
    ["run.started", '{"constructor":1}'],
    ["run.failed", '{"error":{"message":"no","stack":"at"}}'],
    ["run.failed", '{"error":{"message":"no","__proto__":1}}'],
    ["run.created", '{"workflow":"w","recipients":[{"id":"ada","collection":"users","name":"Ada"}]}'],
  ])("has no members that nobody knows: %s %s", (type, json) =>
    expect(parse(type, json)?.success).toBe(false),
  );

  it.each([
    ["run.created", "{}"],
    ["run.created", '{"workflow":7}'],
    ["run.created", '{"workflow":"w","parentId":"run_x"}'],
    ["run.created", '{"workflow":"w","parentId":"run_81h455vb4pex5vsknk084sn02q"}'],
    ["run.created", '{"workflow":"w","recipients":[]}'],
    ["run.created", '{"workflow":"w","recipients":[7]}'],
    ["run.created", '{"workflow":"w","metadata":[]}'],
    ["run.created", '{"workflow":"w","metadata":null}'],
    ["run.awaiting_input", "{}"],
    ["run.awaiting_input", '{"prompt":"?","expiresAt":"soon"}'],
    ["run.input_given", '{"input":1}'],
    ["run.input_given", `{${wait}}`],
    ["run.approved", "{}"],
    ["run.failed", '{"reason":"Not a word"}'],
    ["run.failed", '{"error":"no"}'],
    ["run.failed", '{"error":{}}'],
    ["run.progressed", '{"percent":101}'],
    ["run.progressed", '{"percent":-1}'],
    ["run.noted", '{"name":"n"}'],
    ["run.noted", '{"name":"n","outcome":"fine"}'],
    ["step.started", "{}"],
    ["step.started", '{"stepRef":"s","attempt":0}'],
    ["step.started", '{"stepRef":"s","attempt":1.5}'],
    ["run.started", "null"],
    ["run.started", "[]"],
    ["run.started", '"x"'],
  ])("has the types that are declared: %s %s", (type, json) =>
    expect(parse(type, json)?.success).toBe(false),
  );

  it("takes 1,000 recipients and no more, and 64 keys of metadata", () => {
    const recipients = (count: number) =>
      JSON.stringify({ workflow: "w", recipients: Array.from({ length: count }, (_, index) => `r${index}`) });
    expect(parse("run.created", recipients(1000))?.success).toBe(true);
    expect(parse("run.created", recipients(1001))?.success).toBe(false);
    const metadata = (count: number) => {
      const keys = Array.from({ length: count }, (_, index) => [`k${index}`, index]);
      return JSON.stringify({ workflow: "w", metadata: Object.fromEntries(keys) });
    };
    expect(parse("run.created", metadata(64))?.success).toBe(true);
    expect(parse("run.created", metadata(65))?.success).toBe(false);
  });

  it("keeps every key of the JSON that it carries", () => {
    const json = '{"output":{"__proto__":{"a":1},"constructor":null,"toString":[{"__proto__":2}]}}';
    expect(JSON.stringify(parse("run.completed", json)?.data)).toBe(json);
    const error = '{"error":{"message":"no","data":{"__proto__":1}}}';
    expect(JSON.stringify(parse("run.failed", error)?.data)).toBe(error);
    const metadata = '{"workflow":"w","metadata":{"__proto__":1}}';
    expect(JSON.stringify(parse("run.created", metadata)?.data)).toBe(metadata);
  });

  it("adds no defaults, and takes null where a value may be anything", () => {
    expect(parse("run.started", "{}")?.data).toEqual({});
    expect(parse("step.started", '{"stepRef":"s"}')?.data).toEqual({ stepRef: "s" });
    expect(parse("run.input_given", `{${wait},"input":null}`)?.data).toHaveProperty("input", null);
    expect(parse("run.completed", '{"output":null}')?.data).toEqual({ output: null });
  });

  it("has its instants normalised", () => {
    const given = parse("run.awaiting_input", '{"prompt":"?","expiresAt":"2026-08-15T12:00:00+02:00"}');
    expect(given?.data).toEqual({ prompt: "?", expiresAt: "2026-08-15T10:00:00.000Z" });
  });
});

describe("splitting", () => {
  const kind = event("thing.made", { name: Name }, { note: Name.optional() });
  it("puts structure into data and what was written into content", () =>
    expect(split(kind, { name: "n", note: "w" })).toEqual({
      type: "thing.made",
      data: { name: "n" },
      content: { note: "w" },
    }));
  it("makes no content where nothing was written", () => {
    expect(split(kind, { name: "n" })).toStrictEqual({ type: "thing.made", data: { name: "n" } });
    expect(split(kind, { name: "n", note: undefined })).toStrictEqual({
      type: "thing.made",
      data: { name: "n" },
    });
  });
  it("takes null for a value", () =>
    expect(split(kind, { name: "n", note: null })).toHaveProperty("content", { note: null }));
});
