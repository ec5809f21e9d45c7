/** What the projector's thread says. Positions are bigints, which cross threads as they are. */
export type FromProjector =
  /** How far the views are, and whether all of them answer for the whole log. */
  | { kind: "progress"; position: bigint; eventsSeen: number; live: boolean }
  /** It is there; who else may project is decided elsewhere. */
  | { kind: "opened" }
  /** Another process may project by now. */
  | { kind: "replaced" }
  /** A connection was lost, and is made again. */
  | { kind: "lost"; message: string }
  | { kind: "parked"; name: string; id: string; position: bigint; reason: string }
  | { kind: "served"; name: string; version: number; before: number | undefined; after: number }
  | { kind: "fault"; message: string; pauseMs: number }
  /** It cannot go on, and says why in one line. */
  | { kind: "refused"; message: string };

export type ToProjector = { kind: "wake" } | { kind: "stop" };
