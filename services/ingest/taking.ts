import { isNo, recipientsIn, recordRun, type Taken } from "../../shared/intake/entries.ts";
import type { Caller } from "../../shared/ledger/command.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { openGate } from "./gate.ts";
import { type Asked, type Message, noOf, type Verdict } from "./message.ts";

/** A command on its way, and the message that it came in. */
export type Work = Asked & { message: Message };

/** Why something was not carried out, though nothing is wrong with it: the store is away, most likely. */
export class Fault extends Error {
  readonly code = "ingest_fault";
}

type Said = (work: Work, verdict: Verdict) => void;

type Deps = {
  ledger: Ledger;
  /** Events and recipient runs that are being recorded at any time. */
  inFlightMax: number;
};

/** How often what throws in our own code is tried before it is taken for the message's own doing. */
const TRIES_MAX = 3;

/** Records the commands of messages: different runs side by side, so that they share commits, those of one
 *  run in the order of their messages. */
export function openTaking({ ledger, inFlightMax }: Deps) {
  const gate = openGate(inFlightMax);
  const tries = new Map<string, number>();

  /** Tells what became of each message. Once something is not carried out nothing more of its run is: the
   *  fault is thrown when all that was begun has ended. */
  return async function take(works: readonly Work[], tell: Said, isOver: () => boolean): Promise<void> {
    const runs = new Map<string, Work[]>();
    for (const work of works) {
      const before = runs.get(work.stream);
      if (before) before.push(work);
      else runs.set(work.stream, [work]);
    }
    let fault: Fault | undefined;
    const said: Said = (work, verdict) => {
      tries.delete(nameOf(work));
      tell(work, verdict);
    };
    await Promise.all(
      [...runs.values()].map(async (run) => {
        const weight = run.reduce((most, work) => Math.max(most, 1 + recipientsIn(work)), 1);
        const leave = await gate.enter(weight);
        try {
          if (fault === undefined && !isOver()) await takeRun(run, said);
        } catch (error) {
          fault ??= error instanceof Fault ? error : notCarriedOut(error);
        } finally {
          leave();
        }
      }),
    );
    if (fault) throw fault;
  };

  async function takeRun(run: readonly Work[], said: Said) {
    for (let from = 0; from < run.length; ) {
      const some = sameCaller(run, from);
      const left = new Set(some);
      try {
        await takeTogether(some, left, said);
      } catch (error) {
        if (!isOurs(error)) throw notCarriedOut(error);
        for (const work of left) await takeAlone(work, said);
      }
      from += some.length;
    }
  }

  /** Takes one of those that something was thrown for, to see whether it was for this one. */
  async function takeAlone(work: Work, said: Said) {
    try {
      await takeTogether([work], new Set([work]), said);
    } catch (error) {
      const count = (tries.get(nameOf(work)) ?? 0) + 1;
      tries.set(nameOf(work), count);
      if (!isOurs(error) || count < TRIES_MAX) throw notCarriedOut(error);
      said(work, noOf("parked", error));
    }
  }

  async function takeTogether(some: readonly Work[], left: Set<Work>, said: Said) {
    const caller = some[0]?.caller as Caller; // Nobody asks for nothing.
    await recordRun({ ledger, caller }, some, (work, taken) => {
      const verdict = verdictOf(taken);
      left.delete(work);
      said(work, verdict);
    });
  }
}

const nameOf = ({ message }: Work): string => `${message.partition}/${message.offset}`;

const notCarriedOut = (cause: unknown): Fault => new Fault("a command was not carried out", { cause });

export type Take = ReturnType<typeof openTaking>;

function verdictOf(taken: Taken | { error: unknown }): Verdict {
  if ("outcome" in taken) return { outcome: taken.outcome };
  if (isNo(taken.error)) return noOf("refused", taken.error);
  throw taken.error;
}

/** The messages from there on that have one caller: they become one command. */
function sameCaller(run: readonly Work[], from: number): readonly Work[] {
  const until = run.findIndex(({ caller }, index) => index > from && caller !== run[from]?.caller);
  return run.slice(from, until < 0 ? run.length : until);
}

/** Whether an error can only come from a program that met what it did not expect, not from a store that is
 *  away: drivers and clients say so with errors of their own, or with a plain one. */
const isOurs = (error: unknown): error is Error =>
  error instanceof TypeError ||
  error instanceof RangeError ||
  error instanceof SyntaxError ||
  error instanceof ReferenceError;
