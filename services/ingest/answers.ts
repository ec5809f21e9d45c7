import { createHash } from "node:crypto";
import type { IHeaders, Message as Outgoing } from "kafkajs";
import type { Message, No } from "./message.ts";

/** A reason in a header stays this short; the whole of it is in the value of a refusal. */
const DETAIL_LENGTH_MAX = 500;
/** Of these a refusal has a copy. */
const CARRIED = ["command-id", "correlation-id", "request-id"] as const;

/** Where a message was read: with it a reader tells an answer from its copy. */
function originOf({ topic, partition, offset, key }: Message): IHeaders {
  const origin = { "origin-topic": topic, "origin-partition": `${partition}`, "origin-offset": offset };
  return key === null ? origin : { ...origin, "origin-key": key };
}

/** What the topic of refusals is told: the reason, never what was sent. */
export function refusalOf(message: Message, { code, detail, extras }: No): Outgoing {
  const headers = originOf(message);
  for (const name of CARRIED) {
    const given = message.headers?.[name];
    if (given !== undefined) headers[name] = given;
  }
  headers["refusal-code"] = code;
  const value = JSON.stringify({ code, detail, ...extras }, (_, member: unknown) =>
    typeof member === "bigint" ? `${member}` : member,
  );
  return { key: message.key, value, headers };
}

/** A message as it came, to be looked at by somebody, with the reason in headers. */
export function parkedOf(message: Message, { code, detail }: No): Outgoing {
  const headers: IHeaders = { ...message.headers, ...originOf(message), "parked-code": code };
  headers["parked-detail"] = detail.slice(0, DETAIL_LENGTH_MAX);
  return { key: message.key, value: message.value, headers };
}

/** The same where the topic takes no message of that size: what is left out stays where it was read, and is
 *  found by its hash. */
export function withoutValue(parked: Outgoing): Outgoing {
  const bytes = Buffer.from(parked.value ?? "");
  const headers: IHeaders = {
    ...parked.headers,
    "parked-bytes": `${bytes.length}`,
    "parked-sha256": createHash("sha256").update(bytes).digest("hex"),
  };
  return { key: parked.key ?? null, value: null, headers };
}
