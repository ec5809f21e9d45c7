/** Members that a problem's answer carries beside the common ones. */
export type ProblemExtras = { [member: string]: unknown };

/** An answer that is not the one asked for, by its stable code. What the code means over HTTP is the API's
 *  business. */
export class Problem extends Error {
  readonly code: string;
  readonly extras: ProblemExtras;
  constructor(code: string, detail: string, extras: ProblemExtras = {}, cause?: unknown) {
    super(detail, cause === undefined ? undefined : { cause });
    this.code = code;
    this.extras = extras;
  }
}

/** The process cannot start: the message is one clear line for the person who started it, and the exit code
 *  1. */
export class StartupError extends Error {
  readonly code = "startup";
}
