import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";
import { UnusableLog } from "../event-store/event-store.ts";
import { nextDigest } from "../verification/canonical.ts";
import { eventIn, eventLine, type Footer, firstPositionIn, headerIn, headerLine, hex } from "./copy-lines.ts";
import type { CopiedEvent, LogSource } from "./copy-log.ts";

const LINE_BYTES_MAX = 16 * 1024 * 1024;
const NEWLINE = 0x0a;
/** How much is put together before it is written. */
const CHUNK_CHARACTERS = 256 * 1024;

export const isGzip = (path: string): boolean => path.endsWith(".gz");

/** Writes a log to a new file, one event a line: the texts that were hashed, as they are. Whoever has the
 *  file can compute every leaf again. Resolves when all of it is on the disk. */
export async function writeLogFile(
  path: string,
  source: LogSource,
  { gzip = isGzip(path) } = {},
): Promise<Omit<Footer, "sha256">> {
  const file = await open(path, "wx", 0o600); // It holds content: nobody else may read it.
  try {
    const footer = { count: 0, digest: "", head: "0" };
    const text = Readable.from(chunks(logLines(source, footer)), { objectMode: false });
    const sink = async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) await file.writeFile(chunk); // At the end of what is there.
    };
    await (gzip ? pipeline(text, createGzip(), sink) : pipeline(text, sink));
    await file.sync();
    return footer;
  } finally {
    await file.close();
  }
}

async function* logLines(
  { ledger, epoch, firstPosition, events }: LogSource,
  footer: Omit<Footer, "sha256">,
): AsyncGenerator<string> {
  const whole = createHash("sha256");
  const line = (text: string) => {
    whole.update(text).update("\n");
    return `${text}\n`;
  };
  yield line(headerLine(ledger, epoch, firstPosition === undefined));
  let digest: Uint8Array = Buffer.alloc(32);
  for await (const event of events()) {
    yield line(eventLine(event));
    digest = nextDigest(digest, event.leaf);
    footer.count++;
    footer.head = `${event.position}`;
  }
  footer.digest = hex(digest);
  yield `${JSON.stringify({ ...footer, sha256: whole.digest("hex") })}\n`;
}

async function* chunks(lines: AsyncIterable<string>): AsyncGenerator<Buffer> {
  let text = "";
  for await (const line of lines) {
    text += line;
    if (text.length < CHUNK_CHARACTERS) continue;
    yield Buffer.from(text);
    text = "";
  }
  yield Buffer.from(text);
}

/** Opens a file as a log to copy from. What is in the file is believed when `surveyLog` has read it to its
 *  end: a file that was cut or changed is refused there. */
export async function openLogFileSource(path: string): Promise<LogSource> {
  let text = "";
  for await (const line of fileLines(path)) {
    ({ text } = line);
    break;
  }
  const header = headerIn(path, text);
  const firstPosition = firstPositionIn(header);
  return {
    ledger: header.ledger,
    epoch: BigInt(header.epoch),
    ...(firstPosition === undefined ? {} : { firstPosition }),
    events: () => eventsIn(path),
  };
}

type Line = { text: string; isLast: boolean };

/** Every line but the last one is an event; the last one must say what the others are. */
async function* eventsIn(path: string): AsyncGenerator<CopiedEvent> {
  const whole = createHash("sha256");
  let digest: Uint8Array = Buffer.alloc(32);
  let [number, head] = [0, "0"];
  for await (const { text, isLast } of fileLines(path)) {
    number++;
    if (isLast) {
      const footer = { count: number - 2, digest: hex(digest), head, sha256: whole.digest("hex") };
      if (text !== JSON.stringify(footer))
        throw new UnusableLog(`${path} was cut or changed: its last line does not fit what stands before it`);
      return;
    }
    whole.update(text).update("\n");
    if (number === 1) continue;
    const event = eventIn(path, number, text);
    digest = nextDigest(digest, event.leaf);
    head = `${event.position}`;
    yield event;
  }
  throw new UnusableLog(`${path} was cut: its last line is missing`);
}

/** The lines of a file. Only a line feed ends one: a content may have any other separator in it. */
async function* fileLines(path: string): AsyncGenerator<Line> {
  const file = createReadStream(path);
  const stream = isGzip(path) ? file.pipe(createGunzip()) : file;
  if (stream !== file) file.once("error", (error) => stream.destroy(error));
  try {
    let before: string | undefined;
    for await (const text of linesIn(stream as AsyncIterable<Buffer>, path)) {
      if (before !== undefined) yield { text: before, isLast: false };
      before = text;
    }
    if (before !== undefined) yield { text: before, isLast: true };
  } catch (error) {
    if (error instanceof UnusableLog) throw error;
    throw new UnusableLog(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  } finally {
    file.destroy();
  }
}

async function* linesIn(stream: AsyncIterable<Buffer>, path: string): AsyncGenerator<string> {
  let rest: Buffer[] = [];
  let waiting = 0;
  for await (const chunk of stream) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      yield Buffer.concat([...rest, chunk.subarray(from, end)]).toString("utf8");
      [rest, waiting, from] = [[], 0, end + 1];
    }
    rest.push(chunk.subarray(from));
    waiting += chunk.length - from;
    if (waiting > LINE_BYTES_MAX) throw new UnusableLog(`${path} is not an exported log: a line has no end`);
  }
  if (waiting > 0) throw new UnusableLog(`${path} was cut: its last line has no end`);
}
