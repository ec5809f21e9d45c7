import type { AppendReq, AppendResp, BatchAppendReq } from "@eventstore/db-client/generated/streams_pb.js";
import type { sendUnaryData } from "@grpc/grpc-js";
import {
  type Answered,
  badRequestAnswer,
  batchAnswer,
  tooLargeAnswer,
  tooLateAnswer,
  unaryAnswer,
} from "./append-answers.ts";
import {
  APPEND_BYTES_MAX,
  type Append,
  add,
  batchExpected,
  unaryExpected,
  wrongName,
} from "./append-requests.ts";
import type { Counts } from "./control.ts";
import { failureFor, type OpenFaults } from "./faults.ts";
import { type AppendCall, type BatchCall, type Failure, failure, grpc, idOf, nameOf } from "./protocol.ts";
import type { Outcome, StoredStreams } from "./stored-streams.ts";

type Deps = { store: StoredStreams; faults: OpenFaults; counts: Counts };

type To = {
  requiresLeader: boolean;
  answer(outcome: Outcome): void;
  /** Ends the call. */
  fail(failure: Failure): void;
};

/** What is done with a whole append, in whichever way it came. */
function append({ store, faults, counts }: Deps, { stream, expected, events }: Append, to: To) {
  counts.appends++;
  const refused = faults.refused(to);
  if (refused) return to.fail(refused);
  const before = faults.beforeCommit();
  if (before) return fail(to, failureFor(before));
  const outcome = store.append(stream, expected, events);
  counts[outcome.kind === "wrong" ? "refused" : outcome.kind]++;
  const after = faults.afterCommit();
  if (after) return fail(to, failureFor(after));
  const told = faults.told(outcome);
  faults.whenReleased(() => to.answer(told));
}

function fail(to: To, failed: Failure | undefined): void {
  if (failed) to.fail(failed);
}

const requiresLeader = (call: AppendCall | BatchCall): boolean =>
  call.metadata.get("requires-leader")[0] === "true";

const invalid = (details: string): Failure => failure(grpc.status.INVALID_ARGUMENT, details);

const tooLarge = (): Failure =>
  failure(grpc.status.INVALID_ARGUMENT, `Maximum Append Size of ${APPEND_BYTES_MAX} Exceeded.`, {
    exception: "maximum-append-size-exceeded",
    "maximum-append-size": `${APPEND_BYTES_MAX}`,
  });

const incomplete = (missing: string): Failure =>
  failure(grpc.status.INVALID_ARGUMENT, `Required Metadata Property '${missing}' is missing`, {
    exception: "missing-required-metadata-property",
    "required-metadata-properties": "type,content-type",
  });

/** `Append`: the options first, then each event, and one answer at the end. */
export function appending(deps: Deps) {
  return (call: AppendCall, done: sendUnaryData<AppendResp>) => {
    let request: Append | undefined;
    let isOver = false;
    const once = (end: () => void) => {
      if (!isOver) end();
      isOver = true;
    };
    const fail = (failed: Failure) => once(() => done(failed));
    const hear = (message: AppendReq): Failure | undefined => {
      const options = message.getOptions();
      if (options) {
        const expected = unaryExpected(options);
        const stream = nameOf(options.getStreamIdentifier());
        const wrong = wrongName(stream);
        if (expected === undefined || wrong) return invalid(wrong ?? "nothing is expected");
        request = { stream, expected, events: [], bytes: 0 };
        return undefined;
      }
      const proposed = message.getProposedMessage();
      if (!request || !proposed) return invalid("an append begins with its options");
      const missing = add(request, proposed);
      if (missing) return incomplete(missing);
      return request.bytes > APPEND_BYTES_MAX ? tooLarge() : undefined;
    };
    call.on("data", (message: AppendReq) => {
      const failed = isOver ? undefined : hear(message);
      if (failed) fail(failed);
    });
    call.on("end", () => {
      if (isOver) return;
      if (!request) return fail(invalid("an append begins with its options"));
      const { expected } = request;
      const answer = (outcome: Outcome) => once(() => done(null, unaryAnswer(outcome, expected)));
      append(deps, request, { requiresLeader: requiresLeader(call), answer, fail });
    });
    call.on("cancelled", () => {
      isOver = true;
    });
  };
}

type Pending = { append: Append; answered: Answered; untilMs: number };

/** `BatchAppend`: many appends over one call, each answered by itself; a fault of the call ends them all. */
export function batchAppending(deps: Deps) {
  return (call: BatchCall) => {
    const pending = new Map<string, Pending>();
    let isOver = false;
    const over = () => {
      isOver = true;
      pending.clear();
    };
    const to = {
      requiresLeader: requiresLeader(call),
      fail(failed: Failure) {
        if (isOver) return;
        over();
        call.emit("error", failed);
      },
    };
    const write = (answer: ReturnType<typeof batchAnswer>) => {
      if (!isOver) call.write(answer);
    };

    /** The answer to what is wrong with it so far; undefined where nothing is. */
    function hear(id: string, message: BatchAppendReq) {
      const options = message.getOptions();
      if (options) {
        const expected = batchExpected(options) ?? "any";
        const stream = nameOf(options.getStreamIdentifier());
        const answered = { correlation: message.getCorrelationId(), stream, expected };
        const wrong = wrongName(stream);
        if (wrong) return badRequestAnswer(wrong, answered);
        const untilMs = options.getDeadline()?.toDate().getTime() ?? Number.POSITIVE_INFINITY;
        if (untilMs <= Date.now()) return tooLateAnswer(answered);
        pending.set(id, { append: { stream, expected, events: [], bytes: 0 }, answered, untilMs });
      }
      const found = pending.get(id);
      for (const proposed of found ? message.getProposedMessagesList() : []) {
        const missing = found && add(found.append, proposed);
        if (missing) return badRequestAnswer(`there is no ${missing}`, found.answered);
      }
      if (!found || found.append.bytes <= APPEND_BYTES_MAX) return undefined;
      return tooLargeAnswer(APPEND_BYTES_MAX, found.answered);
    }

    call.on("data", (message: BatchAppendReq) => {
      if (isOver) return;
      const id = idOf(message.getCorrelationId());
      const wrong = hear(id, message);
      const found = pending.get(id);
      if (wrong || message.getIsFinal()) pending.delete(id);
      if (wrong) return write(wrong);
      if (!found || !message.getIsFinal()) return;
      const answer = (outcome: Outcome) => write(batchAnswer(outcome, found.answered));
      append(deps, found.append, { ...to, answer });
    });
    call.on("end", () => {
      if (!isOver) call.end();
      over();
    });
    call.on("cancelled", over);
  };
}
