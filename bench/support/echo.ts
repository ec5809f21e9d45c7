import { once } from "node:events";
import { startProgram } from "./processes.ts";

/** Starts the bare Express that answers what it was sent. */
export async function startEcho(): Promise<{ pid: number; port: number; stop(): void }> {
  const child = startProgram("./express-echo.ts");
  const [port] = (await once(child, "message")) as [number];
  return { pid: child.pid, port, stop: () => void child.kill() };
}
