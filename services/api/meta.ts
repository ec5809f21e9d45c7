import { z } from "zod";
import { Problem } from "../../shared/platform/errors.ts";
import { openApi, type WebhookOperation } from "./openapi.ts";
import { catalogue, isProblemCode, type ProblemCode, type ProblemEntry, problemUrl } from "./problems.ts";
import { answer, type Route, route } from "./route.ts";

const ProblemInfo = z
  .strictObject({
    code: z.string(),
    type: z.string(),
    status: z.int(),
    title: z.string(),
    description: z.string(),
    retry: z.boolean().meta({ description: "Whether the same request may succeed later." }),
  })
  .meta({ id: "ProblemInfo" });

function info(code: ProblemCode): z.infer<typeof ProblemInfo> {
  const { status, title, description, retryAfterS }: ProblemEntry = catalogue[code];
  return { code, type: problemUrl(code), status, title, description, retry: retryAfterS !== undefined };
}

/** What the API says about itself. `table` is the whole route table, these routes included. */
export function metaRoutes(
  table: () => readonly Route[],
  version: string,
  webhooks: readonly WebhookOperation[] = [],
): Route[] {
  let document: string | undefined;
  const codes = Object.keys(catalogue).filter(isProblemCode);
  return [
    route({
      method: "get",
      path: "/v1/problems",
      operationId: "listProblems",
      summary: "Every problem the API can answer with",
      permission: "public",
      request: {},
      responses: { 200: z.strictObject({ items: z.array(ProblemInfo) }) },
      problems: [],
      example: { answer: { items: [info("not_found")] } },
      handle: () => answer(200, { items: codes.map(info) }),
    }),
    route({
      method: "get",
      path: "/v1/problems/{code}",
      operationId: "getProblem",
      summary: "What a problem means: its `type` leads here",
      permission: "public",
      request: { params: z.strictObject({ code: z.string() }) },
      responses: { 200: ProblemInfo },
      problems: [],
      example: { answer: info("idempotency_conflict") },
      handle({ params }) {
        if (!isProblemCode(params.code)) throw new Problem("not_found", "There is no such problem.");
        return answer(200, info(params.code));
      },
    }),
    route({
      method: "get",
      path: "/openapi.json",
      operationId: "getOpenApi",
      summary: "This API, as an OpenAPI 3.1 document",
      permission: "public",
      request: {},
      responses: { 200: z.looseObject({ openapi: z.string() }) },
      problems: [],
      example: { answer: { openapi: "3.1.0" } },
      handle() {
        document ??= JSON.stringify(openApi(table(), version, webhooks));
        return { status: 200, text: document };
      },
    }),
  ];
}
