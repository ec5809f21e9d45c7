import type { Answer } from "./answer.ts";
import type { Phase } from "./connections.ts";
import { BlockedTarget, TookTooLong } from "./lookup.ts";
import { ProxyFailed, type ProxyFailure } from "./proxy-faults.ts";

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
  /** How the proxy failed, where no receiver can be blamed: then this is no outcome of an attempt at all. */
  proxyFailure?: ProxyFailure;
  httpStatus?: number;
  /** The header as it came. */
  retryAfter?: string;
  /** What the receiver asks for in `webhook-delivery`: nothing more to this endpoint, or not this message
   *  again. */
  directive?: Directive;
  /** How long it took, in milliseconds with fractions. */
  durationMs: number;
  /** How much was read of the response's body; absent where it had none. */
  responseBytes?: number;
  /** The beginning of the response's body, as text. */
  excerpt?: string;
};
export type OutcomeWord = Outcome["outcome"];
export type Directive = "disable" | "abort";

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
export function failed(error: Error, phase: Phase, answer: Answer, durationMs: number): Outcome {
  const status = answer.response?.statusCode;
  if (error instanceof ProxyFailed) return withoutReceiver(error, durationMs);
  // What a receiver sends after a whole answer, or does to its connection, is no part of the answer.
  if (isWhole(answer)) return answered(answer, durationMs);
  if (status !== undefined && !isSuccess(status)) return said("http_error", answer, durationMs);
  return said(wordFor(error, phase, status !== undefined), answer, durationMs);
}

const withoutReceiver = ({ word, failure }: ProxyFailed, durationMs: number): Outcome =>
  word ? { outcome: word, durationMs } : { outcome: "unknown", proxyFailure: failure, durationMs };

function said(outcome: OutcomeWord, { response, bytes, excerpt }: Answer, durationMs: number): Outcome {
  if (!response) return { outcome, durationMs };
  const { statusCode: httpStatus, headers } = response;
  const retryAfter = isSuccess(httpStatus) ? undefined : headers["retry-after"];
  const directive = directiveOf(headers["webhook-delivery"], outcome);
  return {
    outcome,
    durationMs,
    ...(httpStatus === undefined ? {} : { httpStatus }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(directive === undefined ? {} : { directive }),
    ...(bytes === 0 ? {} : { responseBytes: bytes }),
    ...(excerpt === "" ? {} : { excerpt }),
  };
}

const directives: ReadonlyMap<string, Directive> = new Map([
  ["disable", "disable"],
  ["abort-message", "abort"],
]);

/** What was delivered is not sent again anyway, so there is nothing to abort. */
function directiveOf(header: string | string[] | undefined, outcome: OutcomeWord): Directive | undefined {
  const directive = directives.get(String(header).toLowerCase());
  return outcome === "delivered" && directive === "abort" ? undefined : directive;
}

/** Codes are Node's and those of the system; messages are nobody's contract. */
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
  HPE_HEADER_OVERFLOW: "too_large",
};

function wordFor(error: Error & { code?: string }, phase: Phase, hasStatus: boolean): OutcomeWord {
  if (error instanceof BlockedTarget) return "blocked";
  if (error instanceof TookTooLong) {
    if (phase === "lookup") return "dns";
    if (phase !== "open") return "timeout_connect";
    return hasStatus ? "timeout_body" : "timeout_headers";
  }
  // Whatever goes wrong in the handshake is its: certificates alone have dozens of codes.
  if (phase === "handshake") return "tls";
  return words[error.code ?? ""] ?? "unknown";
}
