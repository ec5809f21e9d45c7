import { createServer, type Socket } from "node:net";

/** Takes whatever is posted and answers 200: a bare socket, so that it is never what is slow. */
export function openReceiver(onRequest: (text: string, firstByteMs: number) => void): Promise<number> {
  const server = createServer({ noDelay: true }, (socket) => receive(socket, onRequest));
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
}

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

function receive(socket: Socket, onRequest: (text: string, firstByteMs: number) => void): void {
  let text = "";
  let firstByteMs = 0;
  socket.setEncoding("latin1");
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk: string) => {
    if (text === "") firstByteMs = performance.now();
    text += chunk;
    const headEnd = text.indexOf("\r\n\r\n");
    if (headEnd < 0) return;
    const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, headEnd));
    if (text.length < headEnd + 4 + Number(length?.[1] ?? 0)) return;
    const request = text;
    text = "";
    socket.write(OK, "latin1");
    onRequest(request, firstByteMs);
  });
}
