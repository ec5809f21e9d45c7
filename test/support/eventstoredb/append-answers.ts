import type { BatchAppendReq, BatchAppendResp } from "@eventstore/db-client/generated/streams_pb.js";
import type { Message } from "google-protobuf";
import { anything, grpc, shared, status, streams } from "./protocol.ts";
import type { Expected, Outcome } from "./stored-streams.ts";

/** The largest number: how a position that is not known is written in a field that has no sign. */
const NEGATIVE = 18_446_744_073_709_551_615n;
const written = (position: number): string => `${position < 0 ? NEGATIVE : position}`;

const empty = () => new shared.Empty();

/** The answer of `Append`. */
export function unaryAnswer(outcome: Outcome, expected: Expected) {
  const answer = new streams.AppendResp();
  if (outcome.kind === "wrong") {
    const wrong = new streams.AppendResp.WrongExpectedVersion();
    if (outcome.current < 0) wrong.setCurrentNoStream(empty());
    else wrong.setCurrentRevision(`${outcome.current}`);
    if (expected === "any") wrong.setExpectedAny(empty());
    else if (expected === "stream_exists") wrong.setExpectedStreamExists(empty());
    else if (expected < 0) wrong.setExpectedNoStream(empty());
    else wrong.setExpectedRevision(`${expected}`);
    answer.setWrongExpectedVersion(wrong);
    return answer;
  }
  const success = new streams.AppendResp.Success();
  if (outcome.revision < 0) success.setNoStream(empty());
  else success.setCurrentRevision(`${outcome.revision}`);
  if (outcome.position === undefined) success.setNoPosition(empty());
  else {
    const position = new streams.AppendResp.Position();
    position.setCommitPosition(written(outcome.position));
    position.setPreparePosition(written(outcome.position));
    success.setPosition(position);
  }
  answer.setSuccess(success);
  return answer;
}

/** What an answer of `BatchAppend` says again of its request. */
export type Answered = {
  correlation: ReturnType<BatchAppendReq["getCorrelationId"]>;
  stream: string;
  expected: Expected;
};

function answerTo({ correlation, stream }: Answered): BatchAppendResp {
  const answer = new streams.BatchAppendResp();
  answer.setCorrelationId(correlation);
  const identifier = new shared.StreamIdentifier();
  identifier.setStreamName(Buffer.from(stream, "utf8"));
  answer.setStreamIdentifier(identifier);
  return answer;
}

/** The answer of `BatchAppend`. */
export function batchAnswer(outcome: Outcome, answered: Answered): BatchAppendResp {
  if (outcome.kind === "wrong") return wrongVersion(outcome.current, answered);
  const success = new streams.BatchAppendResp.Success();
  if (outcome.revision < 0) success.setNoStream(empty());
  else success.setCurrentRevision(`${outcome.revision}`);
  if (outcome.position === undefined) success.setNoPosition(empty());
  else {
    const position = new shared.AllStreamPosition();
    position.setCommitPosition(written(outcome.position));
    position.setPreparePosition(written(outcome.position));
    success.setPosition(position);
  }
  const answer = answerTo(answered);
  answer.setSuccess(success);
  return answer;
}

function wrongVersion(current: number, answered: Answered): BatchAppendResp {
  const { expected } = answered;
  const wrong = new shared.WrongExpectedVersion();
  if (current < 0) wrong.setCurrentNoStream(empty());
  else wrong.setCurrentStreamRevision(`${current}`);
  if (expected === "any") wrong.setExpectedAny(empty());
  else if (expected === "stream_exists") wrong.setExpectedStreamExists(empty());
  else if (expected < 0) wrong.setExpectedNoStream(empty());
  else wrong.setExpectedStreamPosition(`${expected}`);
  return batchError(grpc.status.FAILED_PRECONDITION, "WrongExpectedVersion", wrong, answered);
}

export function tooLargeAnswer(bytesMax: number, answered: Answered): BatchAppendResp {
  const details = new shared.MaximumAppendSizeExceeded();
  details.setMaxappendsize(bytesMax);
  return batchError(grpc.status.INVALID_ARGUMENT, "MaximumAppendSizeExceeded", details, answered);
}

export const tooLateAnswer = (answered: Answered): BatchAppendResp =>
  batchError(grpc.status.DEADLINE_EXCEEDED, "Timeout", new shared.Timeout(), answered);

export function badRequestAnswer(message: string, answered: Answered): BatchAppendResp {
  const details = new shared.BadRequest();
  details.setMessage(message);
  return batchError(grpc.status.INVALID_ARGUMENT, "BadRequest", details, answered);
}

/** One append that failed; those beside it in the call go on. `name` is also the type of the details. */
function batchError(code: number, name: string, details: Message, answered: Answered): BatchAppendResp {
  const packed = new anything.Any();
  packed.pack(details.serializeBinary(), `event_store.client.${name}`);
  const error = new status.Status();
  error.setCode(code as Parameters<typeof error.setCode>[0]); // The same numbers under another name.
  error.setMessage(name);
  error.setDetails(packed);
  const answer = answerTo(answered);
  answer.setError(error);
  return answer;
}
