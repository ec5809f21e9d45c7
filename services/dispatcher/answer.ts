import type { IncomingMessage } from "node:http";

/** What is kept of a response's body, and what is read of it before the connection is cut. */
const EXCERPT_BYTES = 16 * 1024;
const READ_BYTES_MAX = 64 * 1024;

/** What the receiver answered, as far as it did: its head, how much of its body was read, and how that
 *  begins. */
export type Answer = { response?: IncomingMessage; bytes: number; excerpt: string };

/** Listens to an answer, as far as we want to hear it. */
export function openAnswer() {
  const chunks: Buffer[] = [];
  let response: IncomingMessage | undefined;
  let bytes = 0;
  return {
    /** Its head is there; `onTooMuch` is called when more of a body follows than we read. */
    begin(received: IncomingMessage, onTooMuch: () => void): void {
      response = received;
      received.on("data", (chunk: Buffer) => {
        if (bytes < EXCERPT_BYTES) chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > READ_BYTES_MAX) onTooMuch();
      });
    },
    /** What came before an error and waits to be read is a part of the answer too. */
    drain(): void {
      while (response?.read() != null);
    },
    soFar: (): Answer => ({ bytes, excerpt: excerptOf(chunks), ...(response ? { response } : {}) }),
  };
}

/** As text: bytes that are none are replaced, and a character that is cut in two at the end is left out. */
function excerptOf(chunks: readonly Buffer[]): string {
  if (chunks.length === 0) return "";
  const bytes = Buffer.concat(chunks).subarray(0, EXCERPT_BYTES);
  return new TextDecoder().decode(bytes, { stream: true });
}
