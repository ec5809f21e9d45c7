import { z } from "zod";
import { StartupError } from "../../shared/platform/errors.ts";
import { ShownEvent } from "./recorded.ts";

const Page = z.object({ items: z.array(ShownEvent), next: z.string(), hasMore: z.boolean() });
const RunPage = z.object({ items: z.array(ShownEvent), next: z.int(), hasMore: z.boolean() });
const Health = z.object({ ledger: z.string() });
const Ready = z.object({ head: z.string() });
const Problem = z.object({ code: z.string(), detail: z.string(), position: z.string().optional() });

export type Page = z.infer<typeof Page>;
/** Behind a position, or what was recorded at a time or since. */
export type Place = { after: string } | { since: string };

/** The ledger did not answer, or not now: whoever asks again may be answered. */
export class NotNow extends Error {}

/** Positions have other numbers now: this is where the same place is. */
export class Moved extends Error {
  readonly position: string;
  constructor(position: string) {
    super(`positions have moved: it goes on from ${position}`);
    this.position = position;
  }
}

type Get = <Body>(schema: z.ZodType<Body>, path: string, signal: AbortSignal) => Promise<Body>;

/** What the read API of a ledger tells who holds this key. What it refuses for good is a StartupError. */
export function openLedgerApi(url: string, key: string) {
  const get: Get = async (schema, path, signal) => {
    const headers = { authorization: `Bearer ${key}` };
    const response = await fetch(new URL(path, url), { headers, signal, redirect: "error" }).catch(
      (error: Error) => {
        throw new NotNow(`${url} does not answer`, { cause: error });
      },
    );
    const body: unknown = await response.json().catch(() => undefined);
    if (response.ok) {
      const parsed = schema.safeParse(body);
      if (parsed.success) return parsed.data;
      throw new StartupError(`${url}${path} does not answer as a ledger does`, { cause: parsed.error });
    }
    const problem = Problem.safeParse(body).data;
    if (problem?.code === "position_moved" && problem.position) throw new Moved(problem.position);
    const said = `${url} answers ${response.status}${problem ? ` ${problem.code}: ${problem.detail}` : ""}`;
    throw response.status >= 500 || response.status === 429 ? new NotNow(said) : new StartupError(said);
  };

  return {
    ledgerId: async (signal: AbortSignal) => (await get(Health, "/healthz", signal)).ledger,
    head: async (signal: AbortSignal) => (await get(Ready, "/readyz", signal)).head,
    /** What happened of these types, oldest first; an empty page has waited for so many seconds. */
    page(place: Place, types: readonly string[], waitS: number, signal: AbortSignal): Promise<Page> {
      const query = new URLSearchParams([
        ...Object.entries(place),
        ...types.map((type) => ["type", type] as [string, string]),
        ["wait", `${waitS}`],
      ]);
      return get(Page, `/v1/events?${query}`, signal);
    },
    /** A run's own events behind a revision. */
    runPage: (runId: string, after: number, signal: AbortSignal) =>
      get(RunPage, `/v1/runs/${runId}/events?after=${after}`, signal),
  };
}

export type LedgerApi = ReturnType<typeof openLedgerApi>;
