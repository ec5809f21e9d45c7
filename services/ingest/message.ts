import type { IHeaders } from "kafkajs";
import { type Entry, entryOf, isNo, type Place, parseItem } from "../../shared/intake/entries.ts";
import { parseJson } from "../../shared/intake/json.ts";
import { type Caller, parseCommandId, Refusal } from "../../shared/ledger/command.ts";
import { Problem, type ProblemExtras } from "../../shared/platform/errors.ts";
import { newId } from "../../shared/verification/ids.ts";

/** A message as the broker has it, and where it was read. */
export type Message = {
  topic: string;
  partition: number;
  offset: string;
  key: Buffer | null;
  value: Buffer | null;
  headers?: IHeaders | undefined;
};

/** Why nothing is recorded for a message. `refused`: it is a command that is not carried out. `parked`: it
 *  cannot be read as one. */
export type No = { outcome: "refused" | "parked"; code: string; detail: string; extras: ProblemExtras };

/** What became of a message. */
export type Verdict = { outcome: "recorded" | "replayed" } | No;

/** A message that is a command: who asks, and for what. */
export type Asked = Entry & { caller: Caller };

export type ReaderDeps = Place & {
  limits: Place["limits"] & {
    /** A message with more bytes is parked unread. */
    bodyBytesMax: number;
  };
};

const TOKEN = /^[A-Za-z0-9_.:-]{1,128}$/;

/** Reads messages that were fetched together. Those that bring no ids of their own share a caller, so that
 *  what they ask of one run can be recorded together. */
export function openReader(deps: ReaderDeps) {
  const callers = new Map<string, Caller>();
  const place = { ...deps, streams: new Map<string, string>() };
  const fetchId = newId("req");

  function callerOf({ topic, headers }: Message): Caller {
    const requestId = token(headers, "request-id") ?? fetchId;
    const correlationId = token(headers, "correlation-id") ?? null;
    const both = `${requestId} ${correlationId ?? ""}`;
    const known = callers.get(both);
    if (known) return known;
    const actor = { type: "kafka", id: topic } as const;
    const caller = { workspace: deps.workspace, actor, requestId, correlationId };
    callers.set(both, caller);
    return caller;
  }

  return function read(message: Message): Asked | No {
    let body: unknown;
    try {
      body = bodyOf(message, deps.limits.bodyBytesMax);
    } catch (error) {
      return noOf("parked", error);
    }
    try {
      const commandId = commandIdOf(message);
      const proposed = parseItem(body);
      if (proposed.id !== undefined && proposed.id !== commandId)
        throw new Problem("command_id_twice", "The item's id is another one than the header command-id.");
      return { ...entryOf(place, { ...proposed, id: commandId }), caller: callerOf(message) };
    } catch (error) {
      return noOf("refused", error);
    }
  };
}

function bodyOf({ value }: Message, bytesMax: number): unknown {
  if (value === null) throw new Problem("malformed_json", "The message has no value.");
  if (value.length > bytesMax)
    throw new Problem("body_too_large", `The value has more than ${bytesMax} bytes.`, { bytesMax });
  return parseJson(value);
}

/** The command id that a message has to have. */
function commandIdOf({ headers }: Message): string {
  const given = headers?.["command-id"];
  if (given === undefined) throw new Refusal("invalid_command_id", "the header command-id is missing");
  if (Array.isArray(given))
    throw new Refusal("invalid_command_id", "the header command-id stands there twice");
  return parseCommandId(given.toString());
}

/** The text of a header that can be taken as an id. */
function token(headers: Message["headers"], name: string): string | undefined {
  const given = headers?.[name];
  if (given === undefined || Array.isArray(given)) return undefined;
  const text = given.toString();
  return TOKEN.test(text) ? text : undefined;
}

/** The verdict of what was thrown for one message alone. What nobody foresaw would be thrown again. */
export function noOf(outcome: No["outcome"], error: unknown): No {
  if (!isNo(error)) return { outcome: "parked", code: "internal", detail: String(error), extras: {} };
  const { code, message: detail } = error;
  return { outcome, code, detail, extras: error instanceof Problem ? error.extras : error.extra };
}
