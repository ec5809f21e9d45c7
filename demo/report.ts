const ID_SHOWN = 8;
const CELL_MAX = 72;

/** The end of an id is enough to tell two apart. */
export const short = (id: string): string => `…${id.slice(-ID_SHOWN)}`;

export const seconds = (ms: number | null | undefined): string =>
  ms === null || ms === undefined ? "-" : `${(ms / 1000).toFixed(2)} s`;

const clip = (text: string): string => (text.length > CELL_MAX ? `${text.slice(0, CELL_MAX - 1)}…` : text);

/** Columns as wide as their widest cell. The first row names them. */
export function table(title: string, rows: readonly (readonly unknown[])[]): string {
  const cells = rows.map((row) => row.map((cell) => clip(String(cell ?? "-"))));
  const widths = (cells[0] ?? []).map((_, column) =>
    Math.max(...cells.map((row) => (row[column] ?? "").length)),
  );
  const lines = cells.map((row) => {
    const line = row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
    return `  ${line.trimEnd()}`;
  });
  return `\n${title}\n${lines.join("\n")}\n`;
}

/** One thing that must be true, and whether it is. */
export type Claim = { ok: boolean; text: string };

export const claims = (title: string, made: readonly Claim[]): string =>
  `\n${title}\n${made.map(({ ok, text }) => `  ${ok ? "ok    " : "FAILED"}  ${text}`).join("\n")}\n`;
