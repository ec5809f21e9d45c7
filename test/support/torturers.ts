import { createServer, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import type { OutcomeWord } from "../../services/dispatcher/outcome.ts";
import { httpReceiver, type Listening, listening, rawReceiver } from "./listening.ts";

/** A receiver as nobody wants one, and what becomes of an attempt at it. */
export type Torturer = { name: string; outcome: OutcomeWord; open: () => Promise<Listening> };

const GIB = 1024 ** 3;
const chunk = Buffer.alloc(64 * 1024, "x");

/** Answers what came first on a connection, and hears no more of it. */
const raw = (answer: (socket: Socket) => void) => () =>
  rawReceiver((socket, turn) => {
    if (turn === 1) answer(socket);
  });
/** The same, each time that it is asked. */
const says = (text: string) => () => rawReceiver((socket) => socket.write(text, "latin1"));
const saysLast = (text: string | Uint8Array) => raw((socket) => socket.end(text));

/** So many bytes, as fast as somebody takes them. */
function pour(socket: Socket, head: string, bytes: number): void {
  socket.write(head);
  let left = bytes;
  const more = () => {
    while (left > 0 && !socket.destroyed) {
      left -= chunk.length;
      if (socket.write(chunk)) continue;
      socket.once("drain", more);
      return;
    }
  };
  more();
}

/** A little every few milliseconds, for ever. */
function drip(socket: Socket, head: string, drop: string): void {
  socket.write(head);
  const dripping = setInterval(() => socket.write(drop), 5);
  socket.once("close", () => clearInterval(dripping));
}

const bomb = gzipSync(Buffer.alloc(32 * 1024 ** 2));
const ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/** Closes a kept connection at the very moment at which the next request arrives on it. */
const closesWhenUsedAgain = (reset: boolean) => () =>
  rawReceiver((socket, turn) => {
    if (turn === 1) socket.write(ok);
    else if (reset) socket.resetAndDestroy();
    else socket.destroy();
  });

export const torturers: readonly Torturer[] = [
  { name: "accepts and says nothing", outcome: "timeout_headers", open: raw(() => {}) },
  {
    name: "drips its headers",
    outcome: "timeout_headers",
    open: raw((socket) => drip(socket, "HTTP/1.1 200 OK\r\nx: ", "y")),
  },
  {
    name: "sends hints without end",
    outcome: "timeout_headers",
    open: raw((socket) => drip(socket, "", "HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n")),
  },
  {
    name: "says continue unasked, and then accepts",
    outcome: "delivered",
    open: says(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${ok}`),
  },
  {
    name: "switches protocols",
    outcome: "unknown",
    open: says("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"),
  },
  {
    name: "drips the body of an acceptance",
    outcome: "timeout_body",
    open: raw((socket) => drip(socket, "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", "y")),
  },
  {
    name: "drips the chunks of an acceptance",
    outcome: "timeout_body",
    open: raw((socket) =>
      drip(socket, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\ny\r\n"),
    ),
  },
  {
    name: "drips the body of a refusal",
    outcome: "http_error",
    open: raw((socket) => drip(socket, "HTTP/1.1 503 No\r\ncontent-length: 1000000\r\n\r\n", "y")),
  },
  {
    name: "sends a body of 1 GB",
    outcome: "delivered",
    open: raw((socket) => pour(socket, `HTTP/1.1 200 OK\r\ncontent-length: ${GIB}\r\n\r\n`, GIB)),
  },
  {
    name: "sends a body without end",
    outcome: "http_error",
    open: raw((socket) => pour(socket, "HTTP/1.1 500 No\r\n\r\n", Number.POSITIVE_INFINITY)),
  },
  {
    name: "sends a header of 1 GB",
    outcome: "too_large",
    open: raw((socket) => pour(socket, "HTTP/1.1 200 OK\r\nx: ", GIB)),
  },
  {
    name: "sends a gzip bomb",
    outcome: "delivered",
    open: () =>
      httpReceiver((_req, res) => void res.writeHead(200, { "content-encoding": "gzip" }).end(bomb)),
  },
  {
    name: "resets within its body",
    outcome: "reset",
    open: raw((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", () => socket.resetAndDestroy());
    }),
  },
  {
    name: "ends within its chunks",
    outcome: "reset",
    open: saysLast("HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf"),
  },
  { name: "closes before it answers", outcome: "reset", open: raw((socket) => socket.destroy()) },
  {
    name: "closes before it was asked",
    outcome: "reset",
    open: () => listening(createServer((socket) => socket.destroy())),
  },
  { name: "closes within its headers", outcome: "reset", open: saysLast("HTTP/1.1 200 OK\r\nx: ") },
  { name: "closes a kept connection as it is used", outcome: "delivered", open: closesWhenUsedAgain(false) },
  { name: "resets a kept connection as it is used", outcome: "delivered", open: closesWhenUsedAgain(true) },
  { name: "speaks another protocol", outcome: "unknown", open: saysLast("SSH-2.0-OpenSSH_9.9\r\n") },
  {
    name: "speaks none",
    outcome: "unknown",
    open: saysLast(Uint8Array.from({ length: 4096 }, (_, index) => (index * 37) % 256)),
  },
  {
    name: "has two lengths",
    outcome: "unknown",
    open: says("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc"),
  },
  {
    name: "has a length and chunks",
    outcome: "unknown",
    open: says("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
  },
  {
    name: "has a length below nothing",
    outcome: "unknown",
    open: says("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"),
  },
  {
    name: "has a header that is none",
    outcome: "unknown",
    open: says("HTTP/1.1 200 OK\r\nx\0y: z\r\ncontent-length: 0\r\n\r\n"),
  },
  {
    name: "answers twice",
    outcome: "delivered",
    open: says(`${ok}HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n`),
  },
  {
    name: "accepts after the time is over",
    outcome: "timeout_headers",
    open: raw((socket) => {
      const late = setTimeout(() => socket.write(ok), 3000);
      socket.once("close", () => clearTimeout(late));
    }),
  },
  {
    name: "points to the cloud's own service",
    outcome: "http_error",
    open: () =>
      httpReceiver((_req, res) => {
        res.writeHead(307, { location: "http://169.254.169.254/latest/meta-data/" }).end();
      }),
  },
];
