import { connect } from "node:net";

/** One answer, as far as a load generator looks at it: the head as text, and the body where it is wanted. */
export type Answer = { status: number; head: string; body: string };

export type Connection = { send(request: string): void; close(): void };

/** A kept HTTP/1.1 connection over a bare socket: one request at a time, an answer read only as far as its
 *  length. */
export function openConnection(port: number, onAnswer: (answer: Answer) => void): Promise<Connection> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  let text = "";
  let headEnd = -1;
  let wanted = 0;
  socket.setEncoding("latin1"); // One character a byte: lengths are those of the header.
  socket.on("data", (chunk: string) => {
    text += chunk;
    if (headEnd < 0) {
      headEnd = text.indexOf("\r\n\r\n");
      if (headEnd < 0) return;
      const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, headEnd));
      wanted = headEnd + 4 + Number(length?.[1] ?? 0);
    }
    if (text.length < wanted) return;
    const head = text.slice(0, headEnd);
    const body = text.slice(headEnd + 4, wanted);
    text = text.slice(wanted);
    headEnd = -1;
    onAnswer({ status: Number(head.slice(9, 12)), head, body });
  });
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("connect", () =>
      resolve({
        send: (request) => void socket.write(request, "latin1"),
        close: () => void socket.destroy(),
      }),
    );
  });
}

/** A request without its last parts: method and path come first, the body after it. */
export function requestFrom(key: string) {
  const fixed = `Host: 127.0.0.1\r\nAuthorization: Bearer ${key}\r\n`;
  return {
    get: (path: string): string => `GET ${path} HTTP/1.1\r\n${fixed}\r\n`,
    post(path: string, body: string, commandId?: string): string {
      const id = commandId === undefined ? "" : `Idempotency-Key: ${commandId}\r\n`;
      return (
        `POST ${path} HTTP/1.1\r\n${fixed}${id}Content-Type: application/json\r\n` +
        `Content-Length: ${body.length}\r\n\r\n${body}`
      );
    },
  };
}
