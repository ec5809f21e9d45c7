import { DamagedEvent } from "./damaged-event.ts";
import { EPOCH, type Position } from "./event-store.ts";
import type { Erasure, FormerPosition } from "./moved-event.ts";
import { type EventRow, openLogFile } from "./sqlite-log-file.ts";
import { besideEvents, movedTo } from "./sqlite-move.ts";

/** An event as its row has it, unparsed. */
export type StoredRow = {
  position: Position;
  stream: string;
  revision: number;
  id: string;
  type: string;
  data: string;
  content: string | null;
  meta: string;
  dataSalt: Uint8Array;
  contentSalt: Uint8Array | null;
  leaf: Uint8Array;
};

const PAGE_EVENTS = 200;
const COLUMNS = "position, stream, revision, id, type, data, content, meta, data_salt, content_salt, leaf";
const LOWEST = -(2n ** 63n);

/** The log's rows as they are, for whoever checks them: read only, also while another process writes, and
 *  also where somebody changed the schema (`changed` says so). Pages are read apart, so that the writer's
 *  checkpoints are never held up. */
export function openSqliteStoredLog(folder: string) {
  const changed: string[] = [];
  const { db, ledger, epoch } = openLogFile(folder, {
    readOnly: true,
    onChanged: (problem) => changed.push(problem),
  });
  const base = epoch * EPOCH;
  const prepare = (sql: string) => {
    const statement = db.prepare(sql);
    statement.setReadBigInts(true);
    return statement;
  };
  // Prepared at the first use: in a schema that was changed one of them may name what is not there.
  const before = () =>
    prepare(
      "SELECT revision, leaf FROM events WHERE stream = ? AND position < ? ORDER BY position DESC LIMIT 1",
    );
  const erasure = () => prepare("SELECT 1 FROM erasures WHERE position = ?");
  let lastBefore: ReturnType<typeof before> | undefined;
  let copying: ReturnType<typeof besideEvents> | undefined;
  let isErased: ReturnType<typeof erasure> | undefined;

  function* events(): Generator<StoredRow> {
    const page = prepare(
      `SELECT ${COLUMNS} FROM events WHERE position >= ? ORDER BY position LIMIT ${PAGE_EVENTS}`,
    );
    for (let from = LOWEST; ; ) {
      const rows = page.all(from) as EventRow[];
      for (const row of rows) yield toStored(row, base);
      if (rows.length < PAGE_EVENTS) return;
      from = BigInt(rows.at(-1)?.position ?? 0) + 1n;
    }
  }

  return {
    ledger,
    /** What was changed in the file beside its events. */
    changed: changed as readonly string[],
    firstPosition: base + 1n,
    events,
    lastBefore(stream: string, position: Position) {
      lastBefore ??= before();
      const row = lastBefore.get(stream, position - base);
      return row && { revision: Number(row.revision), leaf: row.leaf as Uint8Array };
    },
    /** Where it was moved to, if it was. */
    movedTo: movedTo(db),
    epoch,
    head: (): Position => {
      const own = prepare("SELECT max(position) AS head FROM events").get()?.head as bigint | null;
      return own === null ? 0n : base + own;
    },
    /** What a copy has to keep beside the event. */
    beside(position: Position): { was?: readonly FormerPosition[]; erasure?: Erasure } {
      copying ??= besideEvents(db);
      return copying(position - base);
    },
    isErased(position: Position): boolean {
      isErased ??= erasure();
      return isErased.get(position - base) !== undefined;
    },
    close: (): void => db.close(),
  };
}

function toStored(row: EventRow, base: Position): StoredRow {
  const { stream, id, type, data, content, meta, data_salt: dataSalt, content_salt: contentSalt, leaf } = row;
  const position = base + BigInt(row.position);
  const texts = [stream, id, type, data, meta].every((text) => typeof text === "string");
  const bytes = [dataSalt, leaf].every((each) => each instanceof Uint8Array);
  if (!texts || !bytes) throw new DamagedEvent(position, "a column has a value of another type");
  const revision = Number(row.revision);
  return { position, stream, revision, id, type, data, content, meta, dataSalt, contentSalt, leaf };
}
