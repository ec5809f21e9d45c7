import type { IncomingMessage } from "node:http";
import { type RequestError, TimeoutError } from "got";
import { BlockedTarget } from "./lookup.ts";

/** What became of one attempt. */
export type Outcome = {
  outcome:
    | "delivered"
    | "http_error"
    | "timeout_connect"
    | "timeout_headers"
    | "timeout_body"
    | "dns"
    | "tls"
    | "refused"
    | "reset"
    | "blocked"
    | "too_large"
    | "unknown";
  httpStatus?: number;
  /** The header as it came. */
  retryAfter?: string;
  /** How long it took, in milliseconds with fractions. */
  durationMs: number;
  /** The beginning of the response's body, as text. */
  excerpt?: string;
};
export type OutcomeWord = Outcome["outcome"];

/** What the receiver answered, as far as it did. */
export type Answer = { response?: IncomingMessage; excerpt: string };

const isSuccess = (status: number | undefined): boolean =>
  status !== undefined && status >= 200 && status <= 299;

/** An answer that was read to its end, or of which more was sent than we read: its status decides. */
export const answered = (answer: Answer, durationMs: number): Outcome =>
  said(isSuccess(answer.response?.statusCode) ? "delivered" : "http_error", answer, durationMs);

/** Node also takes an answer for complete whose only end is that of its connection, though we ended that. */
const isWhole = ({ response }: Answer): boolean =>
  response?.complete === true &&
  ("content-length" in response.headers || "transfer-encoding" in response.headers);

/** An attempt that ended with an error. A status that refuses is known once it was sent; one that accepts
 *  counts only with the end of its answer: until then the receiver has not finished accepting. */
export function failed(error: RequestError, answer: Answer, isHttps: boolean, durationMs: number): Outcome {
  const status = answer.response?.statusCode;
  // What a receiver sends after a whole answer, or does to its connection, is no part of the answer.
  if (isWhole(answer)) return answered(answer, durationMs);
  if (status !== undefined && !isSuccess(status)) return said("http_error", answer, durationMs);
  return said(wordFor(error, status !== undefined, isHttps), answer, durationMs);
}

function said(outcome: OutcomeWord, { response, excerpt }: Answer, durationMs: number): Outcome {
  const httpStatus = response?.statusCode;
  const retryAfter = response?.headers["retry-after"];
  return {
    outcome,
    durationMs,
    ...(httpStatus === undefined ? {} : { httpStatus }),
    ...(retryAfter === undefined || isSuccess(httpStatus) ? {} : { retryAfter }),
    ...(excerpt === "" ? {} : { excerpt }),
  };
}

/** Codes are Node's, those of the system and got's; messages are nobody's contract. */
const words: Record<string, OutcomeWord> = {
  ENOTFOUND: "dns",
  ENODATA: "dns",
  ESERVFAIL: "dns",
  EAI_AGAIN: "dns",
  EAI_FAIL: "dns",
  EAI_NODATA: "dns",
  EAI_NONAME: "dns",
  ECONNREFUSED: "refused",
  EHOSTUNREACH: "refused",
  ENETUNREACH: "refused",
  EHOSTDOWN: "refused",
  ENETDOWN: "refused",
  ETIMEDOUT: "timeout_connect",
  ECONNRESET: "reset",
  EPIPE: "reset",
  ERR_HTTP_CONTENT_LENGTH_MISMATCH: "reset",
  HPE_HEADER_OVERFLOW: "too_large",
};

function wordFor(error: RequestError, hasStatus: boolean, isHttps: boolean): OutcomeWord {
  const { code, timings } = error;
  const isConnected = timings?.connect !== undefined;
  const isSecure = !isHttps || timings?.secureConnect !== undefined;
  if (error instanceof BlockedTarget || error.cause instanceof BlockedTarget) return "blocked";
  if (error instanceof TimeoutError) {
    if (error.event === "lookup") return "dns";
    if (!isConnected || !isSecure) return "timeout_connect";
    return hasStatus ? "timeout_body" : "timeout_headers";
  }
  // Whatever goes wrong between the two is the handshake: certificates alone have dozens of codes.
  if (isConnected && !isSecure && code !== "ERR_CANCELED") return "tls";
  return words[code] ?? "unknown";
}
