import type { Message, ReaderDeps } from "../../services/ingest/message.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";

export const ingestLimits = { recipientsMax: 1000, metadataKeysMax: 64, bodyBytesMax: 1024 * 1024 };

/** How commands are read for the ledger's workspace `default`. */
export const readerOf = (ledger: Ledger): ReaderDeps => ({
  ledger,
  workspace: "default",
  limits: ingestLimits,
});

/** A command as a producer sends it: an item, under a command id. */
export function sent(
  commandId: string | undefined,
  item: unknown,
  headers: Readonly<Record<string, string>> = {},
) {
  const { runKey, runId, id } = item as { runKey?: string; runId?: string; id?: string };
  const value = typeof item === "string" ? item : JSON.stringify(item);
  const all = commandId === undefined ? { ...headers } : { "command-id": commandId, ...headers };
  return { key: runKey ?? runId ?? id ?? commandId ?? "none", value, headers: all };
}

export const creates = (commandId: string, data: object = {}) =>
  sent(commandId, { type: "run.created", data: { workflow: "welcome", ...data } });

export const reports = (commandId: string, runKey: string, type: string, data?: object) =>
  sent(commandId, { type, runKey, ...(data ? { data } : {}) });

/** The same as a broker hands it over. */
export function received(
  { key, value, headers }: { key: string; value: string | Buffer; headers: Record<string, string> },
  offset = 0,
): Message {
  const buffers = Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)]);
  return {
    topic: "t.commands",
    partition: 0,
    offset: `${offset}`,
    key: Buffer.from(key),
    value: Buffer.from(value),
    headers: Object.fromEntries(buffers),
  };
}
