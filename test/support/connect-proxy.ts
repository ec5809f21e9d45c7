import { createServer, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { listening } from "./listening.ts";

type Options = {
  /** What it wants to be shown; everybody is let through without. */
  authorization?: string;
  /** Answers in place of a tunnel, where it answers at all. */
  answer?: (authority: string, socket: Socket) => boolean;
};

/** A proxy that opens tunnels, as operators have them, and knows what it was asked for. */
export async function openConnectProxy({ authorization, answer }: Options = {}) {
  /** Each authority, with the headers that came with it. */
  const asked: { authority: string; headers: IncomingMessage["headers"] }[] = [];
  const tunnels = new Set<Socket>();
  const others: string[] = [];
  const server = createServer((req, res) => {
    others.push(`${req.method} ${req.url}`);
    res.writeHead(400).end();
  });
  server.on("connect", (req, socket: Socket, head: Buffer) => {
    const authority = req.url ?? "";
    asked.push({ authority, headers: req.headers });
    socket.on("error", () => {});
    if (answer?.(authority, socket)) return;
    if (authorization !== undefined && req.headers["proxy-authorization"] !== authorization) {
      socket.end('HTTP/1.1 407 No\r\nproxy-authenticate: Basic realm="x"\r\ncontent-length: 0\r\n\r\n');
      return;
    }
    const { hostname, port } = new URL(`tcp://${authority}`);
    const beyond = connect({ host: hostname.replace(/^\[(.*)\]$/, "$1"), port: Number(port) });
    beyond.on("error", () => socket.end("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"));
    beyond.once("connect", () => {
      tunnels.add(socket);
      socket.once("close", () => tunnels.delete(socket));
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      beyond.write(head);
      beyond.pipe(socket).pipe(beyond);
    });
    socket.once("close", () => beyond.destroy());
  });
  const { port, sockets } = await listening(server);
  const authorities = (): string[] => asked.map(({ authority }) => authority);
  return { port, sockets, server, asked, authorities, tunnels, others };
}
