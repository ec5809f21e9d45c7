import { z } from "zod";
import type { Page, RowReader, StoredRow } from "../../projections/row-store.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { type CursorScope, openCursor, sealCursor } from "./cursor.ts";
import { minPosition, parsePosition } from "./headers.ts";
import type { ErasedCall } from "./route.ts";

/** The views, as far as reads need them. */
export type Views = {
  rows: RowReader;
  /** How far they are. */
  position(): bigint;
  /** Whether every view has done its first catch-up. */
  live(): boolean;
  /** Resolves with whether they reached a position before so many milliseconds had passed. */
  reached(position: bigint, timeoutMs: number): Promise<boolean>;
};

/** How long a read waits for what its caller has seen already. */
const WAIT_MS = 2000;

export const Position = z
  .string()
  .refine((text) => parsePosition(text) !== undefined, "must be a position")
  .describe("A position of the log, in decimal.");

export const minPositionQuery = { minPosition: Position.optional() };

type Asked = Pick<ErasedCall, "headers"> & { query: { minPosition?: string | undefined } };

/** Waits, at most two seconds, for the position that the caller wants to see. */
export async function waitFor(views: Views, { headers, query }: Asked): Promise<void> {
  const wanted = query.minPosition === undefined ? minPosition(headers) : parsePosition(query.minPosition);
  if (wanted === undefined || (await views.reached(wanted, WAIT_MS))) return;
  throw behind(views, wanted);
}

export const behind = (views: Views, wanted: bigint): Problem =>
  new Problem("projection_behind", `The views are at ${views.position()}, not yet at ${wanted}.`, {
    wanted: `${wanted}`,
    have: `${views.position()}`,
  });

/** Lists answer for the whole log, or not at all. */
export function requireLive(views: Views): void {
  if (!views.live()) throw new Problem("views_rebuilding", "The views are being built from the log.");
}

export const pagingQuery = (pageSizeMax: number) => ({
  pageSize: z
    .string()
    .regex(/^[1-9]\d{0,3}$/, `must be an integer from 1 to ${pageSizeMax}`)
    .optional(),
  after: z.string().optional(),
  before: z.string().optional(),
});

type PagingQuery = { pageSize?: string | undefined; after?: string | undefined; before?: string | undefined };
export const PageInfo = z.strictObject({
  pageSize: z.int(),
  after: z.string().nullable(),
  before: z.string().nullable(),
});
export const pageOf = (item: z.ZodType) =>
  z.strictObject({ items: z.array(item), pageInfo: PageInfo, position: z.string() });

/** How many rows a page has where nobody says, and the most. */
export type PageSizes = { usual: number; max: number };

/** One page of a list: the cursors in and out, bound to the list, its filter and the workspace. */
export async function answerPage<Row extends StoredRow>(
  list: {
    scope: CursorScope;
    secret: Buffer;
    query: PagingQuery;
    sizes: PageSizes;
    orderOf: (row: Row) => bigint;
    json: (row: Row) => unknown;
  },
  read: (paging: { limit: number; after?: Place; before?: Place }) => Promise<Page<Row>>,
) {
  const { scope, secret, query, sizes, orderOf, json } = list;
  if (query.after !== undefined && query.before !== undefined) {
    throw new Problem("invalid_query", "A page is after or before a cursor, not both.", {
      parameter: "before",
    });
  }
  const pageSize = query.pageSize === undefined ? Math.min(sizes.usual, sizes.max) : Number(query.pageSize);
  if (pageSize > sizes.max) {
    throw new Problem("invalid_query", `pageSize must be an integer from 1 to ${sizes.max}`, {
      parameter: "pageSize",
    });
  }
  const place = (cursor: string) => placeOf(openCursor(secret, scope, cursor).key);
  const page = await read({
    limit: pageSize,
    ...(query.after === undefined ? {} : { after: place(query.after) }),
    ...(query.before === undefined ? {} : { before: place(query.before) }),
  });
  const { rows, more, view } = page;
  if (view.state === "rebuilding")
    throw new Problem("views_rebuilding", "The views are being built from the log.");
  const cursor = (row: Row | undefined, is: boolean, direction: "after" | "before") =>
    row && is ? sealCursor(secret, scope, { key: `${orderOf(row)} ${row.id}`, direction }) : null;
  const backwards = query.before !== undefined;
  return {
    items: rows.map(json),
    pageInfo: {
      pageSize,
      after: cursor(rows.at(-1), backwards || more, "after"),
      before: cursor(rows[0], backwards ? more : query.after !== undefined, "before"),
    },
    position: `${view.position}`,
  };
}

type Place = { value: bigint; id: string };

function placeOf(key: string): Place {
  const cut = key.indexOf(" ");
  return { value: BigInt(key.slice(0, cut)), id: key.slice(cut + 1) };
}
