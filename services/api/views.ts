import { z } from "zod";
import type { Page, RowReader, StoredRow } from "../../projections/row-store.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { type CursorScope, openCursor, sealCursor } from "./cursor.ts";
import { minPosition, parsePosition } from "./headers.ts";
import { type Answer, answer, type ErasedCall, type Principal } from "./route.ts";

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

/** Every read takes it; what reads the log itself is never behind. */
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
  if (!views.live()) throw rebuilding();
}

const rebuilding = () => new Problem("views_rebuilding", "The views are being built from the log.");

/** How many items a page may have. */
export const pageSizeQuery = (max: number) =>
  z
    .string()
    .refine(
      (text) => /^[1-9]\d{0,8}$/.test(text) && Number(text) <= max,
      `must be an integer from 1 to ${max}`,
    )
    .optional()
    .describe(`An integer from 1 to ${max}.`);

const pagingQuery = (pageSizeMax: number) => ({
  pageSize: pageSizeQuery(pageSizeMax),
  after: z.string().optional().describe("The cursor `after` of a page: what comes behind it."),
  before: z.string().optional().describe("The cursor `before` of a page: what comes in front of it."),
});

/** What a list takes in its query: its filter, a page, and the position that it must have reached. */
export const listQuery = <Filter extends z.ZodRawShape>(pageSizeMax: number, filter: Filter) =>
  z.strictObject({ ...filter, ...pagingQuery(pageSizeMax), ...minPositionQuery });

/** Problems of every list. */
export const listing = ["invalid_cursor", "projection_behind", "views_rebuilding"] as const;

export const pageOf = (item: z.ZodType) =>
  z.strictObject({
    items: z.array(item),
    pageInfo: z.strictObject({
      pageSize: z.int(),
      after: z.string().nullable(),
      before: z.string().nullable(),
    }),
    position: z.string(),
  });

/** How many items a page has where nobody says. */
const USUAL_PAGE = 50;

/** What lists are made with. */
export type Lists = { views: Views; cursorSecret: Buffer; pageSizeMax: number };

type Query = { [name: string]: unknown } & {
  pageSize?: string | undefined;
  after?: string | undefined;
  before?: string | undefined;
  minPosition?: string | undefined;
};
type Asking = { headers: ErasedCall["headers"]; principal: Principal; query: Query };
type Place = { value: bigint; id: string };
type Paging = { limit: number; after?: Place; before?: Place };

export type List<Row> = {
  view: string;
  /** What the path says beside the query: a cursor is bound to both. */
  below?: { [name: string]: string };
  orderOf(row: Row): bigint;
  json(row: Row): unknown;
  read(workspace: string, paging: Paging): Promise<Page<Row>>;
};

/** One page of a list: the cursors in and out, bound to the list, its filter and the workspace. */
export async function answerList<Row extends StoredRow>(
  { views, cursorSecret, pageSizeMax }: Lists,
  { headers, principal, query }: Asking,
  list: List<Row>,
): Promise<Answer> {
  requireLive(views);
  const { after, before, pageSize: asked, minPosition: _, ...filter } = query;
  if (after !== undefined && before !== undefined) {
    const detail = "A page is after a cursor or before one, not both.";
    throw new Problem("invalid_query", detail, { parameter: "before" });
  }
  const { workspace } = principal;
  const scope: CursorScope = { view: list.view, workspace, filter: { ...filter, ...list.below } };
  const pageSize = asked === undefined ? Math.min(USUAL_PAGE, pageSizeMax) : Number(asked);
  const place = (cursor: string) => placeOf(openCursor(cursorSecret, scope, cursor).key);
  const paging: Paging = {
    limit: pageSize,
    ...(after === undefined ? {} : { after: place(after) }),
    ...(before === undefined ? {} : { before: place(before) }),
  };
  await waitFor(views, { headers, query });
  const { rows, more, view } = await list.read(workspace, paging);
  if (view.state === "rebuilding") throw rebuilding();
  const cursor = (row: Row | undefined, is: boolean, direction: "after" | "before") =>
    row && is ? sealCursor(cursorSecret, scope, { key: `${list.orderOf(row)} ${row.id}`, direction }) : null;
  const backwards = before !== undefined;
  const pageInfo = {
    pageSize,
    after: cursor(rows.at(-1), backwards || more, "after"),
    before: cursor(rows[0], backwards ? more : after !== undefined, "before"),
  };
  return answer(200, {
    items: await Promise.all(rows.map(list.json)),
    pageInfo,
    position: `${view.position}`,
  });
}

function placeOf(key: string): Place {
  const cut = key.indexOf(" ");
  return { value: BigInt(key.slice(0, cut)), id: key.slice(cut + 1) };
}
