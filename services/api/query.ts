import { z } from "zod";
import { Problem } from "../../shared/platform/errors.ts";

export type Query = { [name: string]: string | string[] };

/** The parameters that a schema takes several times: always a list, even of one. */
export function listNames(schema: z.ZodObject): ReadonlySet<string> {
  const names = Object.keys(schema.shape).filter((name) => isList(schema.shape[name]));
  return new Set(names);
}

function isList(schema: unknown): boolean {
  if (schema instanceof z.ZodArray) return true;
  return schema instanceof z.ZodOptional && isList(schema.unwrap());
}

/** The query of a request's URL. A parameter is there once, but for the lists. */
export function parseQuery(url: string, lists: ReadonlySet<string>): Query {
  // Without a prototype, a parameter named `__proto__` is a parameter like any other.
  const query: Query = Object.create(null);
  const start = url.indexOf("?");
  if (start < 0) return query;
  for (const part of url.slice(start + 1).split("&")) {
    if (part === "") continue;
    const cut = part.indexOf("=");
    const name = decode(cut < 0 ? part : part.slice(0, cut));
    const value = decode(cut < 0 ? "" : part.slice(cut + 1), name);
    const earlier = query[name];
    if (lists.has(name)) query[name] = Array.isArray(earlier) ? [...earlier, value] : [value];
    else if (earlier === undefined) query[name] = value;
    else throw invalid(name, "is given twice");
  }
  return query;
}

function decode(text: string, parameter = text): string {
  if (!text.includes("%") && !text.includes("+")) return text;
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    throw invalid(parameter, "is not percent-encoded UTF-8");
  }
}

function invalid(parameter: string, detail: string): Problem {
  return new Problem("invalid_query", `${parameter} ${detail}`, { parameter });
}
