import { Socket } from "node:net";
import { onTestFinished } from "vitest";

const listening = new Set<string[]>();
const watched = new WeakSet<Socket>();
const connect = Socket.prototype.connect;

function watching(this: Socket, ...args: unknown[]): Socket {
  if (!watched.has(this))
    this.on("connectionAttempt", (address: string) => {
      for (const attempts of listening) attempts.push(address);
    });
  watched.add(this);
  return Reflect.apply(connect, this, args);
}

/** Where this process tries to connect to, until the test ends: every address, whether anybody listens there
 *  or not. */
export function connectionAttempts(): readonly string[] {
  const attempts: string[] = [];
  listening.add(attempts);
  Reflect.set(Socket.prototype, "connect", watching);
  onTestFinished(() => {
    listening.delete(attempts);
    if (listening.size === 0) Reflect.set(Socket.prototype, "connect", connect);
  });
  return attempts;
}
