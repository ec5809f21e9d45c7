import { isIP, type Socket } from "node:net";
import type { Phase } from "./connections.ts";
import type { Target } from "./targets.ts";

/** A name is resolved; a connection stands; TLS does; the head of the answer has come. */
export type Progress = "dns" | "connect" | "tls" | "headers";

/** Tells how a connection that is made for a request comes about. What was done before it could be listened
 *  to is told of at once: most of it, through a proxy. */
export function tellProgress(
  socket: Socket,
  phase: Phase,
  target: Target,
  tell: (done: Progress) => void,
): void {
  const isNamed = isIP(target.to.hostname ?? "") === 0;
  if (phase === "lookup") socket.once("lookup", (error: Error | null) => error ?? tell("dns"));
  else if (isNamed) tell("dns");
  if (phase === "lookup" || phase === "connect") socket.once("connect", () => tell("connect"));
  else tell("connect");
  if (target.isSecure && phase !== "open") socket.once("secureConnect", () => tell("tls"));
}
