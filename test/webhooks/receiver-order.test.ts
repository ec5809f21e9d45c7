import { describe, expect, it } from "vitest";
import type { DeliveryState } from "../../shared/webhooks/receiver.ts";
import { openReceiver, openReceiverMemory, type ReceiverOptions } from "../../shared/webhooks/receiver.ts";
import { manualClock } from "../support/manual-clock.ts";
import { nowSeconds, secret, webhook } from "../support/webhook-request.ts";

/** The events of a run as they are owed to an endpoint: not all of its revisions are. */
const chain = [
  { event: "a", revision: 2, previous: null },
  { event: "b", revision: 5, previous: "a" },
  { event: "c", revision: 6, previous: "b" },
  { event: "d", revision: 9, previous: "c" },
] as const;
type Name = (typeof chain)[number]["event"];
/** The webhook about one of them; in runs beside the first one their ids say of which run they are. */
function told(name: Name, run = "run_1") {
  const { revision, previous } = chain.find(({ event }) => event === name) ?? chain[0];
  const idOf = (event: string) => (run === "run_1" ? event : `${event}@${run}`);
  return webhook({ revision, run, event: idOf(name), previous: previous && idOf(previous) });
}
const nameOf = (id = "") => id.replace(/@.*/, "");

function receiving(options: Partial<ReceiverOptions> = {}) {
  const clock = manualClock(nowSeconds * 1000);
  const handled: string[] = [];
  const receiver = openReceiver({ secrets: [secret], clock, ...options });
  return {
    clock,
    receiver,
    handled,
    receive: (name: Name, run?: string) =>
      receiver.receive(told(name, run), ({ ledger }, { missing, late }) => {
        handled.push(
          `${nameOf(ledger?.event)}${missing ? ` without ${missing.event}` : ""}${late ? ", late" : ""}`,
        );
      }),
  };
}

const saying = (...states: DeliveryState[]) => {
  const asked: object[] = [];
  return {
    asked,
    stateOf: async (about: { run: string; event: string }) => {
      asked.push(about);
      return states[Math.min(asked.length, states.length) - 1] ?? "unknown";
    },
  };
};

describe("a gap", () => {
  it("is none where every event came, though the run has others that nobody is told of", async () => {
    const { receive, handled } = receiving();
    for (const { event } of chain) expect(await receive(event)).toMatchObject({ missing: null, late: false });
    expect(handled).toEqual(["a", "b", "c", "d"]);
  });

  it("is told with what is missing, and between which revisions", async () => {
    const { receive, handled } = receiving();
    await receive("a");
    expect(await receive("c")).toMatchObject({
      ok: true,
      status: 204,
      missing: { run: "run_1", event: "b", afterRevision: 2, beforeRevision: 6, state: "unknown" },
    });
    expect(await receive("d")).toMatchObject({ missing: null });
    expect(handled).toEqual(["a", "c without b", "d"]);
  });

  it("at the beginning reaches back to where nothing is known", async () => {
    const { receive } = receiving();
    expect(await receive("b")).toMatchObject({
      missing: { event: "a", afterRevision: null, beforeRevision: 5 },
    });
  });

  it("is closed by what comes late, which is told to be old", async () => {
    const { receive, handled } = receiving();
    for (const name of ["a", "c", "b"] as const) await receive(name);
    expect(handled).toEqual(["a", "c without b", "b, late"]);
    expect(await receive("b")).toMatchObject({ duplicate: true, late: true });
  });

  it("is none of another run", async () => {
    const { receive } = receiving();
    await receive("a", "run_1");
    expect(await receive("a", "run_2")).toMatchObject({ missing: null });
    expect(await receive("b", "run_3")).toMatchObject({ missing: { run: "run_3", event: "a@run_3" } });
  });

  it("is one as long as what was to come before failed to be handled", async () => {
    const { receiver, receive } = receiving();
    await receiver.receive(told("a"), () => Promise.reject(new Error("no")));
    expect(await receive("b")).toMatchObject({ missing: { event: "a" } });
  });

  it.each(["superseded", "wait_resolved", "delivered"] as const)(
    "is none where the ledger says that the event before is %s",
    async (state) => {
      const { stateOf, asked } = saying(state);
      const { receive } = receiving({ stateOf });
      expect(await receive("b")).toMatchObject({ missing: null });
      expect(asked).toEqual([{ run: "run_1", event: "a" }]);
    },
  );

  it.each(["pending", "retrying", "exhausted", "skipped", "cancelled"] as const)(
    "says that the event before is %s",
    async (state) => {
      const { receive } = receiving(saying(state));
      expect(await receive("b")).toMatchObject({ ok: true, missing: { event: "a", state } });
    },
  );

  it("is told though the ledger cannot be asked", async () => {
    const { receive } = receiving({ stateOf: () => Promise.reject(new Error("away")) });
    expect(await receive("b")).toMatchObject({ ok: true, missing: { event: "a", state: "unknown" } });
  });

  it("is not asked about where nothing is missing", async () => {
    const { stateOf, asked } = saying("unknown");
    const { receive } = receiving({ stateOf });
    for (const { event } of chain) await receive(event);
    await receive("b");
    expect(asked).toEqual([]);
  });

  it("can be refused for as long as it may close by itself", async () => {
    const { stateOf } = saying("pending", "unknown", "exhausted");
    const { receive, handled } = receiving({ stateOf, onGap: "refuse" });
    for (let attempt = 0; attempt < 2; attempt++)
      expect(await receive("b")).toMatchObject({
        ok: false,
        status: 409,
        reason: "previous_missing",
        missing: { event: "a" },
      });
    expect(handled).toEqual([]);
    expect(await receive("b")).toMatchObject({ ok: true, missing: { state: "exhausted" } });
  });

  it("that was refused is over once what was missing has come", async () => {
    const { receive, handled } = receiving({ onGap: "refuse" });
    for (const name of ["b", "a", "b"] as const) await receive(name);
    expect(handled).toEqual(["a", "b"]);
  });
});

describe("events of a run that are kept in order", () => {
  it("wait for the one before them, however they come", async () => {
    const { receiver, receive, handled } = receiving({ order: {} });
    const answers = [receive("d"), receive("b"), receive("c")];
    const [first] = [await receive("a")];
    expect(first).toMatchObject({ ok: true });
    for (const answer of await Promise.all(answers))
      expect(answer).toMatchObject({ ok: true, status: 204, missing: null, late: false });
    expect(handled).toEqual(["a", "b", "c", "d"]);
    expect(receiver.held()).toBe(0);
  });

  it("do not wait for those of other runs", async () => {
    const { receive, handled, clock } = receiving({ order: {} });
    const waits = receive("b", "run_1");
    await clock.untilSleeping();
    await receive("a", "run_2");
    await receive("b", "run_2");
    expect(handled).toEqual(["a", "b"]);
    await receive("a", "run_1");
    await waits;
    expect(handled).toEqual(["a", "b", "a", "b"]);
  });

  it("go on after their time, and are told what is missing", async () => {
    const { receive, handled, clock } = receiving({ order: { waitMs: 4000 } });
    await receive("a");
    const waits = receive("c");
    await clock.untilSleeping();
    await clock.advance(3999);
    expect(handled).toEqual(["a"]);
    await clock.advance(1);
    expect(await waits).toMatchObject({ ok: true, missing: { event: "b", afterRevision: 2 } });
    expect(handled).toEqual(["a", "c without b"]);
  });

  it("are asked for again after their time where a gap is refused", async () => {
    const { receive, handled, clock } = receiving({ order: { waitMs: 4000 }, onGap: "refuse" });
    const waits = receive("b");
    await clock.untilSleeping();
    await clock.advance(4000);
    expect(await waits).toMatchObject({ ok: false, status: 409, reason: "previous_missing" });
    expect(handled).toEqual([]);
  });

  it("wait on while the handler of the one before fails, and follow once it does not", async () => {
    const { receiver, receive, handled, clock } = receiving({ order: {} });
    const waits = receive("b");
    await clock.untilSleeping();
    await receiver.receive(told("a"), () => Promise.reject(new Error("no")));
    await clock.advance(2000);
    expect(handled).toEqual([]);
    await receive("a");
    await waits;
    expect(handled).toEqual(["a", "b"]);
  });

  it("begin only when the one before has been handled to its end", async () => {
    const { receiver, receive, handled, clock } = receiving({ order: {} });
    let end = () => {};
    const slow = new Promise<void>((resolve) => {
      end = resolve;
    });
    const first = receiver.receive(told("a"), () => slow.then(() => void handled.push("a")));
    const second = receive("b");
    await clock.untilSleeping();
    expect(handled).toEqual([]);
    end();
    await Promise.all([first, second]);
    expect(handled).toEqual(["a", "b"]);
  });

  it("do not wait for what the ledger will not send, nor has to", async () => {
    for (const state of ["superseded", "exhausted", "skipped", "cancelled"] as const) {
      const { receive, clock } = receiving({ order: {}, ...saying(state) });
      expect(await receive("b")).toMatchObject({ ok: true });
      expect(clock.sleeping).toBe(0);
    }
  });

  it("find out after their time that the one before was superseded meanwhile", async () => {
    const { receive, clock } = receiving({ order: {}, ...saying("pending", "superseded") });
    const waits = receive("b");
    await clock.untilSleeping();
    await clock.advance(10_000);
    expect(await waits).toMatchObject({ ok: true, missing: null });
  });

  it("notice what another process has handled", async () => {
    const memory = openReceiverMemory({ now: () => nowSeconds * 1000 });
    const [here, there] = [receiving({ memory, order: {} }), receiving({ memory })];
    const waits = here.receive("b");
    await here.clock.untilSleeping();
    await there.receive("a");
    await here.clock.advance(1000);
    expect(await waits).toMatchObject({ ok: true, missing: null });
  });

  it("are not held when they were handled before", async () => {
    const { receive, clock } = receiving({ order: { waitMs: 4000 } });
    const waits = receive("b");
    await clock.untilSleeping();
    await clock.advance(4000);
    expect(await waits).toMatchObject({ missing: { event: "a" } });
    expect(await receive("b")).toMatchObject({ duplicate: true });
    expect(clock.sleeping).toBe(0);
  });

  it("do not miss what is handled while the ledger is asked", async () => {
    const opened = receiving({
      order: {},
      stateOf: async () => {
        await opened.receive("a");
        return "pending";
      },
    });
    expect(await opened.receive("b")).toMatchObject({ ok: true, missing: null });
    expect(opened.handled).toEqual(["a", "b"]);
  });

  it("are held at most so many; the next is to come again", async () => {
    const { receiver, receive, clock } = receiving({ order: { heldMax: 2 } });
    const waits = [receive("b", "run_1"), receive("b", "run_2")];
    await clock.untilSleeping(2);
    expect(receiver.held()).toBe(2);
    expect(await receive("b", "run_3")).toMatchObject({ ok: false, status: 503, reason: "too_many_held" });
    await receive("a", "run_1");
    await waits[0];
    expect(receiver.held()).toBe(1);
    await receive("a", "run_2");
    await waits[1];
  });

  it("come again after the receiver was closed", async () => {
    const { receiver, receive, handled, clock } = receiving({ order: {} });
    const waits = receive("b");
    await clock.untilSleeping();
    receiver.close();
    expect(await waits).toMatchObject({ ok: false, status: 503, reason: "closing" });
    expect([handled, clock.sleeping]).toEqual([[], 0]);
  });

  it("come in order whatever order a hundred runs come in", async () => {
    const { receiver, handled } = receiving({ order: {} });
    const names = chain.map(({ event }) => event);
    const all = Array.from({ length: 100 }, (_, index) =>
      names.map((name) => [name, `run_${index}`] as const),
    );
    // Always another order, and always the same one.
    const mixed = all.flat().sort(([a, run], [b, other]) => `${b}${other}`.localeCompare(`${a}${run}`));
    const seen = new Map<string, string>();
    const answers = mixed.map(([name, run]) =>
      receiver.receive(told(name, run), ({ ledger }) => {
        seen.set(run, (seen.get(run) ?? "") + nameOf(ledger?.event));
      }),
    );
    for (const answer of await Promise.all(answers))
      expect(answer).toMatchObject({ ok: true, missing: null });
    expect([...seen.values()]).toEqual(Array(100).fill("abcd"));
    expect(handled).toEqual([]);
  });
});
