import { hash } from "node:crypto";
import type { Parameter, Sql } from "./postgres.ts";

/** Statements that are prepared; others are planned each time. */
const NAMES_MAX = 300;

export type Ask = (text: string, parameters?: readonly Parameter[]) => Promise<unknown[][]>;

/** Statements named by the hash of their text: each connection plans each of them once. */
export function preparedOn(sql: Sql): Ask {
  const names = new Map<string, string>();
  return (text, parameters = []) => {
    let name = names.get(text);
    if (name === undefined && names.size < NAMES_MAX) {
      name = hash("sha256", text, "base64url");
      names.set(text, name);
    }
    return sql.values(text, parameters, name);
  };
}
