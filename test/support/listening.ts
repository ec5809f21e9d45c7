import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { type AddressInfo, createServer as createNetServer, type Server, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** A server on loopback that counts what reaches it; it goes when the test ends. */
export type Listening = { port: number; url: string; sockets: Socket[] };

/** Resolves once a connection is gone, whichever way. */
export const closed = (socket: Socket | undefined): Promise<void> =>
  new Promise((resolve) => {
    if (!socket || socket.destroyed) resolve();
    else socket.once("close", () => resolve());
  });

/** Starts a server on a free port of loopback. */
export async function listening(server: Server, protocol = "http"): Promise<Listening> {
  const sockets: Socket[] = [];
  server.on("connection", (socket: Socket) => {
    sockets.push(socket);
    socket.on("error", () => {}); // Receivers here are cut off all the time.
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = server.address() as AddressInfo; // An address of the internet, as it listens on one.
  return { port, url: `${protocol}://127.0.0.1:${port}/hook`, sockets };
}

/** A receiver that speaks HTTP. */
export const httpReceiver = (answer: RequestListener): Promise<Listening> => listening(createServer(answer));

/** A receiver that says whatever it likes, each time something of a request arrives; `turn` counts from 1
 *  on a connection. */
export const rawReceiver = (answer: (socket: Socket, turn: number) => void): Promise<Listening> =>
  listening(
    createNetServer((socket) => {
      let turn = 0;
      socket.on("data", () => answer(socket, ++turn));
    }),
  );
