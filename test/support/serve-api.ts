import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { onTestFinished } from "vitest";
import { type Answered, type AppDeps, createApp } from "../../services/api/app.ts";
import { type Permission, permissions } from "../../services/api/permissions.ts";
import { catalogue } from "../../services/api/problems.ts";
import type { Principal, Route } from "../../services/api/route.ts";
import { Problem } from "../../shared/platform/errors.ts";

/** What was logged: the message and the fields. */
type Line = { level: "info" | "error"; message: string; fields: Record<string, unknown> };

export type Reply = { status: number; headers: Headers; text: string; body: Record<string, unknown> };

/** Holds a key with these permissions. */
export const holder = (...granted: Permission[]): Principal => ({
  workspace: "default",
  keyId: "k000000000",
  actor: { type: "api_key", id: "k000000000" },
  permissions: new Set(granted.length > 0 ? granted : permissions),
});

/** The token `good` opens everything, `none` nothing. */
const authenticate = (token: string): Principal | Problem => {
  if (token === "good") return holder();
  if (token === "none") return { ...holder(), permissions: new Set() };
  return new Problem("unauthenticated", catalogue.unauthenticated.description);
};

/** These routes on a port of their own, until the test is over. Answers are checked against what the routes
 *  promise. */
export async function serveApi(routes: readonly Route[], overrides: Partial<AppDeps> = {}) {
  const lines: Line[] = [];
  const answered: Answered[] = [];
  const at = (level: Line["level"]) => (fields: object, message: string) => {
    lines.push({ level, message, fields: { ...fields } });
  };
  const log = { info: at("info"), error: at("error") };
  const onAnswered = (fields: Answered) => answered.push(fields);
  const app = createApp({
    routes,
    authenticate,
    log,
    version: "1.2.3",
    onAnswered,
    checkAnswers: true,
    ...overrides,
  });
  const server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;

  /** One request, as JSON where there is a body that is not text. */
  async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const init: RequestInit = { method, headers: { authorization: "Bearer good", ...headers } };
    if (body !== undefined) {
      init.body = typeof body === "string" ? body : JSON.stringify(body);
      init.headers = { "content-type": "application/json", ...init.headers };
    }
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json") ?? false;
    const reply: Reply = {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson && text ? JSON.parse(text) : {},
    };
    return reply;
  }

  return { port, call, lines, answered, raw: () => rawConnection(port) };
}

/** A socket that says what it is told, and hears what comes back. */
export function rawConnection(port: number) {
  const socket = connect(port, "127.0.0.1");
  let heard = "";
  let closed = false;
  const waiting = new Set<() => void>();
  const look = () => {
    for (const check of waiting) check();
  };
  socket.setEncoding("latin1");
  socket.on("data", (text: string) => {
    heard += text;
    look();
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    closed = true;
    look();
  });
  onTestFinished(() => {
    socket.destroy();
  });
  const until = (done: () => boolean) =>
    new Promise<string>((resolve) => {
      const check = () => {
        if (!done()) return;
        waiting.delete(check);
        resolve(heard);
      };
      waiting.add(check);
      check();
    });
  return {
    socket,
    say: (bytes: string | Buffer) => socket.write(bytes),
    /** What was heard, once this is in it. */
    hears: (text: string, count = 1) => until(() => closed || heard.split(text).length > count),
    /** All that was heard, once the server has closed the connection. */
    closed: () => until(() => closed),
  };
}
