import { type StoredRow, spanClasses, type View } from "../../projections/row-store.ts";

/** Rows with a column of every type, for the tests of row stores. */
export type ThingRow = StoredRow & {
  owner: string;
  color: "red" | "green" | "blue";
  late: boolean;
  parent: string | null;
  place: bigint;
  moved: bigint;
  span: number;
  placeClockMs: number;
  weight: number | null;
  dueAt: number | null;
  hash: Uint8Array;
  body?: unknown;
};

export const colors = ["red", "green", "blue"] as const;
export const thingsOf = (version: number): View<ThingRow> => ({
  name: "some-things",
  version,
  table: {
    columns: {
      id: { type: "text", fixed: true },
      owner: { type: "text", fixed: true },
      color: { type: "text", values: colors },
      late: { type: "boolean", values: [false, true] },
      parent: { type: "text", fixed: true },
      place: { type: "position", fixed: true },
      moved: { type: "position" },
      span: { type: "integer", values: spanClasses },
      placeClockMs: { type: "integer", fixed: true },
      weight: { type: "number" },
      dueAt: { type: "integer" },
      hash: { type: "bytes" },
      body: { type: "json" },
    },
    order: { column: "place", unique: false },
    span: { of: "moved", column: "span" },
    indexes: [
      { name: "place", columns: ["owner", "place", "id"] },
      { name: "span", columns: ["owner", "span", "place", "id"] },
      { name: "clock", columns: ["owner", "place"] },
      { name: "moved", columns: ["owner", "moved"] },
      { name: "color", columns: ["owner", "color", "late", "place", "id"] },
      { name: "due", columns: ["dueAt", "id"], where: "dueAt" },
      { name: "parent", columns: ["parent", "place", "id"], where: "parent", forFind: true },
    ],
    row: (stored) => stored as ThingRow,
  },
});
export const things = thingsOf(1);

/** The `number`th thing: every third shares its place with the one before it. */
export function thing(number: number, over: Partial<ThingRow> = {}): ThingRow {
  const place = BigInt(number - (number % 3 === 2 ? 1 : 0));
  return {
    id: `thing_${String(number).padStart(3, "0")}`,
    owner: "a",
    color: colors[number % 3] ?? "red",
    late: number % 2 === 0,
    parent: null,
    place,
    moved: place,
    span: 0,
    placeClockMs: Number(place) * 10,
    weight: null,
    dueAt: null,
    hash: new Uint8Array([number % 256]),
    ...over,
  };
}
