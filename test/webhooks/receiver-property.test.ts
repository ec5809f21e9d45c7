import fc from "fast-check";
import { expect, it } from "vitest";
import { openReceiver, openReceiverMemory } from "../../shared/webhooks/receiver.ts";
import { manualClock } from "../support/manual-clock.ts";
import { nowSeconds, secret, webhook } from "../support/webhook-request.ts";

const RUNS = 3;
const EVENTS = 4;
const eventOf = (run: number, index: number): string => `evt_${run}_${index}`;

/** Every webhook of a few runs. */
const all = Array.from({ length: RUNS * EVENTS }, (_, number) => {
  const [run, index] = [Math.floor(number / EVENTS), number % EVENTS];
  const previous = index === 0 ? null : eventOf(run, index - 1);
  return webhook({ run: `run_${run}`, event: eventOf(run, index), revision: index * 2, previous });
});

/** Which webhooks come at a time, in this order and perhaps twice, to which of two processes; and which times
 *  handling fails. */
const sendings = fc.record({
  rounds: fc.array(fc.array(fc.tuple(fc.nat(all.length - 1), fc.boolean()), { maxLength: 20 }), {
    minLength: 1,
    maxLength: 6,
  }),
  failing: fc.array(fc.boolean(), { maxLength: 30 }),
});

type Sendings = typeof sendings extends fc.Arbitrary<infer Value> ? Value : never;

/** What two processes with one memory have handled in the end: the sender sends again what was not taken,
 *  until everything is. */
async function handledOf({ rounds, failing }: Sendings): Promise<Map<string, string[]>> {
  const clock = manualClock(nowSeconds * 1000);
  const memory = openReceiverMemory({ now: () => clock.now() });
  const open = () => openReceiver({ secrets: [secret], clock, memory, order: {}, onGap: "refuse" });
  const processes = [open(), open()];
  const handled = new Map<string, string[]>();
  const failures = [...failing];
  const send = async (number: number, second: boolean): Promise<boolean> => {
    const process = processes[second ? 1 : 0];
    const request = all[number];
    if (!process || !request) throw new Error("there is no such one");
    const answer = await process.receive(request, async ({ data, ledger }) => {
      await Promise.resolve();
      if (failures.pop()) throw new Error("the handler fails");
      const run = data.run?.id ?? "";
      handled.set(run, [...(handled.get(run) ?? []), ledger?.event ?? ""]);
    });
    return answer.ok;
  };
  const sendRound = async (round: readonly (readonly [number, boolean])[]): Promise<boolean> => {
    let ended = false;
    const answers = Promise.all(round.map(([number, second]) => send(number, second))).finally(() => {
      ended = true;
    });
    while (!ended) await clock.advance(1000);
    return (await answers).every(Boolean);
  };
  for (const round of rounds) await sendRound(round);
  const rest = all.map((_, number) => [number, number % 2 === 0] as const);
  while (!(await sendRound(rest)));
  return handled;
}

it("everything is handled once and in order, however it comes, and whatever fails meanwhile", async () => {
  const runs = Array.from({ length: RUNS }, (_, run) => run);
  const whole = new Map(
    runs.map((run) => [`run_${run}`, Array.from({ length: EVENTS }, (_, index) => eventOf(run, index))]),
  );
  const holds = fc.asyncProperty(sendings, async (sent) => {
    const handled = await handledOf(sent);
    expect(new Map([...handled].sort())).toEqual(whole);
  });
  await fc.assert(holds, { numRuns: 150 });
});
