import { describe, expect, it } from "vitest";
import { z } from "zod";
import { metaRoutes } from "../../services/api/meta.ts";
import { catalogue, isProblemCode, type ProblemEntry } from "../../services/api/problems.ts";
import { invalidQuery, toProblem } from "../../services/api/to-problem.ts";
import { invalidBody, pointer } from "../../shared/intake/invalid.ts";
import { Refusal } from "../../shared/ledger/command.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { serveApi } from "../support/serve-api.ts";
import { sourcesIn } from "../support/sources.ts";

const entries: [string, ProblemEntry][] = Object.entries(catalogue);
const coded = (code: string, message: string) => Object.assign(new Error(message), { code });

describe("the catalogue of problems", () => {
  it.each(entries)("has a plain word, a title and an explanation for %s", (code, entry) => {
    expect(code).toMatch(/^[a-z0-9_]{1,40}$/);
    expect(entry.title).toMatch(/^[A-Z].{2,40}[^.]$/);
    expect(entry.description).toMatch(/\.$/);
    if (entry.permanent) expect(entry.status).toBe(409);
    expect(entry.retryAfterS !== undefined).toBe([429, 503].includes(entry.status));
  });

  it("is served, and every problem's type leads to its entry", async () => {
    const { call } = await serveApi(metaRoutes(() => [], "1.0.0"));
    const { items } = (await call("GET", "/v1/problems", undefined, { authorization: "" })).body;
    expect(items).toHaveLength(entries.length);
    for (const item of items as { code: string; type: string }[]) {
      expect((await call("GET", item.type)).body).toEqual(item);
    }
    const unknown = await call("GET", "/v1/problems/toString");
    expect(unknown).toMatchObject({ status: 404, body: { type: "/v1/problems/not_found" } });
  });

  it("has every code that is thrown or refused with", () => {
    const own = new Set(["delivery_attempt_mismatch"]); // Between the dispatcher and the ledger alone.
    const thrown = sourcesIn("shared", "services").flatMap(({ text }) =>
      [...text.matchAll(/(?:new Problem|new Refusal|refuse)\(\s*"(\w+)"/g)].map(([, code]) => code ?? ""),
    );
    expect(thrown.length).toBeGreaterThan(20);
    expect(thrown.filter((code) => !isProblemCode(code) && !own.has(code))).toEqual([]);
  });

  it("knows only its own codes", () => {
    expect(isProblemCode("not_found")).toBe(true);
    expect(isProblemCode("toString")).toBe(false);
    expect(isProblemCode("ENOENT")).toBe(false);
  });
});

describe("what is thrown becomes a problem", () => {
  it("with the members of RFC 9457 and its own", () => {
    expect(
      toProblem(new Problem("position_moved", "Go on at 12.", { position: "12", status: 1 }), "req_1"),
    ).toEqual({
      status: 410,
      headers: {},
      body: {
        position: "12",
        type: "/v1/problems/position_moved",
        title: "Position moved",
        status: 410,
        code: "position_moved",
        detail: "Go on at 12.",
        requestId: "req_1",
      },
    });
  });

  it("that says when to try again, or never", () => {
    const retry = { extras: { retryAfterS: 7 } };
    expect(toProblem(new Problem("rate_limited", "Slowly.", retry.extras), "r").headers).toEqual({
      "Retry-After": "7",
    });
    expect(toProblem(coded("storage_full", "/data is full"), "r")).toMatchObject({
      status: 503,
      headers: { "Retry-After": "30" },
      body: { detail: "The log has no room. Nothing was recorded." },
    });
    expect(toProblem(new Refusal("run_full", "no"), "r").headers).toEqual({ "x-should-retry": "false" });
  });

  it("that tells nothing of what else there is", () => {
    const one = toProblem(new Problem("not_found", "run_1 is another workspace's", { id: "run_1" }), "r");
    const other = toProblem(new Refusal("not_found", "there is no run_2"), "r");
    expect(one.body).toEqual(other.body);
    expect(Object.keys(one.body).sort()).toEqual(["code", "detail", "requestId", "status", "title", "type"]);
  });

  it.each([
    new Error("secret"),
    coded("ENOENT", "secret"),
    coded("transition_not_allowed", "secret"),
    Object.assign(new Error("secret"), { code: 503 }),
    "secret",
    undefined,
    null,
  ])("or, where nobody expected it, a fault: %s", (error) => {
    const problem = toProblem(error, "r");
    expect(problem).toMatchObject({ status: 500, body: { code: "internal" } });
    expect("fault" in problem).toBe(true);
    expect(problem.fault).toBe(error);
    expect(JSON.stringify(problem.body)).not.toContain("secret");
  });
});

describe("what does not fit", () => {
  const issues = (schema: z.ZodType, value: unknown) => schema.safeParse(value).error?.issues ?? [];

  it("is listed by its JSON Pointer, a hundred at most", () => {
    expect(pointer(["a/b", 0, "c~d"])).toBe("/a~1b/0/c~0d");
    const problem = invalidBody(issues(z.array(z.string()), Array(150).fill(1)));
    expect(problem.extras.errors).toHaveLength(100);
    expect(invalidBody(issues(z.string(), 1)).message).toMatch(/^The body: /);
  });

  it("names the query parameter", () => {
    const schema = z.strictObject({ page: z.string().regex(/^\d+$/, "must be a number").optional() });
    const said = (query: Record<string, string>) => {
      const { message, extras } = invalidQuery(issues(schema, query), query);
      return [message, extras];
    };
    expect(said({ page: "x" })).toEqual(["page=x: must be a number", { parameter: "page" }]);
    expect(said({ pgae: "1" })).toEqual(["There is no parameter pgae.", { parameter: "pgae" }]);
    expect(said({ page: "x".repeat(99) })[0]).toBe(`page=${"x".repeat(80)}…: must be a number`);
  });
});
