import { deliveryProblems } from "./delivery-problems.ts";
import { endpointProblems } from "./endpoint-problems.ts";

/** What a code means. `permanent`: the same request can never succeed; `retryAfterS`: it may, later. */
export type ProblemEntry = {
  status: number;
  title: string;
  description: string;
  permanent?: true;
  retryAfterS?: number;
};

/** Every answer that is not the one asked for. Codes are API: neither they nor their statuses ever change. */
export const catalogue = {
  malformed_json: {
    status: 400,
    title: "Malformed JSON",
    description: "The body is not JSON in UTF-8. `offset` is the byte at which it stops being that.",
  },
  invalid_query: {
    status: 400,
    title: "Invalid query",
    description:
      "A query parameter is unknown, repeated, or has a value that it cannot have. `parameter` names it.",
  },
  invalid_header: {
    status: 400,
    title: "Invalid header",
    description: "A header that this operation reads has a value that it cannot have. `header` names it.",
  },
  invalid_cursor: {
    status: 400,
    title: "Invalid cursor",
    description: "The cursor is not one that this list, with this filter, has given out.",
  },
  invalid_command_id: {
    status: 400,
    title: "Invalid command id",
    description:
      "A command id has 1 to 255 visible ASCII characters, and stands where the operation takes one.",
  },
  position_unknown: {
    status: 400,
    title: "Unknown position",
    description: "No event of the log has this position. 0 is the beginning.",
  },
  unauthenticated: {
    status: 401,
    title: "No valid key",
    description: "The request has no API key that this ledger knows: `Authorization: Bearer rl_…`.",
  },
  key_expired: { status: 401, title: "Key expired", description: "The API key is past its expiry." },
  key_revoked: { status: 401, title: "Key revoked", description: "The API key was revoked." },
  forbidden: {
    status: 403,
    title: "Permission missing",
    description: "The API key lacks a permission. `permissions` names those of which one would do.",
  },
  not_found: {
    status: 404,
    title: "Not found",
    description: "There is nothing here that this key can see: an unknown id, or an unknown route.",
  },
  method_not_allowed: {
    status: 405,
    title: "Method not allowed",
    description: "The path exists, with other methods: the `Allow` header lists them.",
  },
  not_acceptable: {
    status: 406,
    title: "Not acceptable",
    description: "The `Accept` header excludes what this operation answers with.",
  },
  transition_not_allowed: {
    status: 409,
    title: "Transition not allowed",
    description: "The event cannot follow the status that the run has.",
    permanent: true,
  },
  step_transition_not_allowed: {
    status: 409,
    title: "Step transition not allowed",
    description: "The event cannot follow the status that the step has.",
    permanent: true,
  },
  step_attempt_mismatch: {
    status: 409,
    title: "Not the step's next attempt",
    description:
      "A step's attempts are counted 1, 2, 3 …; this one is not the attempt that the event can be of.",
    permanent: true,
  },
  wait_resolved: {
    status: 409,
    title: "Wait resolved",
    description: "The wait has its one answer, or was voided: no other can be taken.",
    permanent: true,
  },
  wait_unknown: {
    status: 409,
    title: "Unknown wait",
    description: "The run has no such wait.",
    permanent: true,
  },
  parent_run: {
    status: 409,
    title: "Run with recipients",
    description:
      "The status of a run with recipients follows from its recipient runs; nobody else reports it.",
    permanent: true,
  },
  run_full: {
    status: 409,
    title: "Run full",
    description: "The run has as many events as a run can have. It can still end.",
    permanent: true,
  },
  idempotency_conflict: {
    status: 409,
    title: "Command id taken",
    description: "Another command was recorded under this id. `position` is that of its first event.",
    permanent: true,
  },
  already_exists: {
    status: 409,
    title: "Already exists",
    description: "The name is taken.",
    permanent: true,
  },
  ...endpointProblems,
  ...deliveryProblems,
  position_moved: {
    status: 410,
    title: "Position moved",
    description: "The position is of an older epoch of the log. `position` is where to go on.",
  },
  revision_mismatch: {
    status: 412,
    title: "Another revision",
    description: "`If-Match` names another revision than the current one, which is `revision`.",
  },
  body_too_large: {
    status: 413,
    title: "Body too large",
    description: "The request's body has more than `bytesMax` bytes.",
  },
  event_too_large: {
    status: 413,
    title: "Event too large",
    description: "An event, or an append, has more bytes than one can have.",
  },
  unsupported_media_type: {
    status: 415,
    title: "Unsupported media type",
    description: "Bodies are `application/json` in UTF-8, not compressed.",
  },
  invalid_body: {
    status: 422,
    title: "Invalid body",
    description:
      "The JSON does not fit. `errors` lists every place, as a JSON Pointer, with what is wrong there.",
  },
  at_in_future: {
    status: 422,
    title: "In the future",
    description: "`at` is more than five minutes ahead of the ledger's clock.",
  },
  duplicate_recipients: {
    status: 422,
    title: "Recipient named twice",
    description: "A run has each of its recipients once.",
  },
  command_id_twice: {
    status: 422,
    title: "Two command ids",
    description:
      "Items with ids of their own are commands of their own: there can be no `Idempotency-Key` beside them.",
  },
  secret_input_not_yet: {
    status: 422,
    title: "Secret input is not supported yet",
    description: "Waits for secret input are not taken yet: nothing secret may enter the log.",
  },
  rate_limited: {
    status: 429,
    title: "Too many requests",
    description: "Try again after the seconds in `Retry-After`.",
    retryAfterS: 1,
  },
  internal: {
    status: 500,
    title: "Internal fault",
    description: "Something broke that should not have. The `requestId` finds it in the server's log.",
  },
  projection_behind: {
    status: 503,
    title: "View behind",
    description: "The view has not reached the position asked for. `have` is where it is.",
    retryAfterS: 1,
  },
  views_rebuilding: {
    status: 503,
    title: "Views rebuilding",
    description: "The views are being made anew from the log. Writes and single runs are served meanwhile.",
    retryAfterS: 5,
  },
  storage_full: {
    status: 503,
    title: "Storage full",
    description: "The log has no room. Nothing was recorded.",
    retryAfterS: 30,
  },
  overloaded: {
    status: 503,
    title: "Overloaded",
    description:
      "More is waiting than the ledger takes, or what it stands on does not answer. Nothing was recorded.",
    retryAfterS: 1,
  },
  outcome_unknown: {
    status: 503,
    title: "Outcome unknown",
    description: "Nobody can say whether it was recorded. Send it again with the same command id.",
    retryAfterS: 1,
  },
  shutting_down: {
    status: 503,
    title: "Shutting down",
    description: "The server is stopping. Nothing was recorded.",
    retryAfterS: 2,
  },
} as const satisfies Record<string, ProblemEntry>;

export type ProblemCode = keyof typeof catalogue;

export const isProblemCode = (code: string): code is ProblemCode => Object.hasOwn(catalogue, code);

/** Where a code is explained; also the `type` of its problems. */
export const problemUrl = (code: ProblemCode): string => `/v1/problems/${code}`;
