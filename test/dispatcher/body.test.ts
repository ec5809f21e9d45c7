import { describe, expect, it } from "vitest";
import { runV1, runV2, thinRunV1, thinRunV2 } from "../../projections/runs/run-body.ts";
import { foldRun } from "../../projections/runs/runs.ts";
import { type BodyFacts, renderBody } from "../../services/dispatcher/body.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";

const meta = {
  v: 1,
  workspace: "default",
  actor: { type: "api_key", id: "abcdefghij" },
  correlationId: null,
  causationId: null,
  requestId: null,
  at: "2026-01-01T00:00:00.000Z",
  recordedAt: "2026-01-01T00:00:00.000Z",
  prev: null,
  dataHash: "0".repeat(64),
  contentHash: null,
  commandHash: null,
  dataSalt: new Uint8Array(16),
} as const;

const event = (revision: number, type: string, data: object, content?: object): RecordedEvent =>
  ({
    id: `evt_0000000000000000000000000${revision}`,
    stream: "run-00000000000000000000000001",
    revision,
    position: BigInt(revision + 1),
    type,
    data,
    ...(content ? { content } : {}),
    meta,
    leaf: new Uint8Array(32).fill(revision),
  }) as RecordedEvent;

function facts(input: unknown, version = 1): BodyFacts {
  const events = [
    event(0, "run.created", { workflow: "onboarding" }, { input }),
    event(1, "run.started", {}),
    event(2, "run.failed", { hasError: true, reason: "no_room" }, { error: { message: "Größe? 💥" } }),
  ];
  const run = foldRun(events);
  const last = events[2];
  if (!run || !last) throw new Error("there is no run");
  return {
    deliveryId: "delivery_00000000000000000000000002",
    event: last,
    type: last.type,
    previous: null,
    full: { run: (version === 1 ? runV1 : runV2)(run, last) },
    thin: { run: (version === 1 ? thinRunV1 : thinRunV2)(run), dataUrl: `/v1/runs/${run.id}` },
  };
}

describe("a webhook's body in version 1", () => {
  it("never changes its bytes", () => {
    expect(String(renderBody(1, facts({ b: 1, a: [null, true] }), 1e6))).toBe(
      '{"id":"delivery_00000000000000000000000002","type":"run.failed","timestamp":"2026-01-01T' +
        '00:00:00.000Z","data":{"run":{"id":"run_00000000000000000000000001","workspace":"default' +
        '","workflow":"onboarding","status":"failed","revision":2,"parentId":null,"recipientIndex' +
        '":null,"recipientCount":null,"errorCount":1,"attempt":0,"currentStateName":null,"percent' +
        '":null,"reason":"no_room","createdAt":"2026-01-01T00:00:00.000Z","updatedAt":"2026-01-01' +
        'T00:00:00.000Z","startedAt":"2026-01-01T00:00:00.000Z","completedAt":"2026-01-01T00:00:0' +
        '0.000Z","durationMs":0,"waits":[],"input":{"b":1,"a":[null,true]},"error":{"message":"Gr' +
        'öße? 💥"}}},"ledger":{"event":"evt_00000000000000000000000002","revision":2,"previous":nu' +
        "ll," +
        `"hash":"${"02".repeat(32)}"}}`,
    );
  });

  it("is thin, with the way to the run, where it would be too large", () => {
    const body = renderBody(1, facts("x".repeat(300_000)), 256 * 1024);
    const { data } = JSON.parse(String(body));
    expect(body?.length).toBeLessThan(2000);
    expect(data.dataUrl).toBe("/v1/runs/run_00000000000000000000000001");
    expect(data.run).toMatchObject({ status: "failed", revision: 2, errorCount: 1 });
    expect(data.run).not.toHaveProperty("input");
    expect(data.run).not.toHaveProperty("error");
  });

  it("is in version 2 the same and whether the run is a test, and never changes its bytes either", () => {
    const whole = String(renderBody(1, facts({ b: 1 }), 1e6));
    expect(String(renderBody(2, facts({ b: 1 }, 2), 1e6))).toBe(
      whole.replace('"error":{"message":"Größe? 💥"}}}', '"error":{"message":"Größe? 💥"},"test":false}}'),
    );
    const thin = String(renderBody(1, facts(1), 0));
    expect(String(renderBody(2, facts(1, 2), 0))).toBe(
      thin.replace('"durationMs":0}', '"durationMs":0,"test":false}'),
    );
  });

  it("is not made in a version that nobody knows", () => {
    expect(renderBody(3, facts(1), 1e6)).toBeUndefined();
  });
});
