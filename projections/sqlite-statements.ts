import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite";

export type Values = SQLOutputValue[];
export type Statements = (sql: string) => StatementSync;

const STATEMENTS_MAX = 500;

/** Prepared statements by their text. Integers are bigints, rows are arrays. */
export function statementsOf(db: DatabaseSync): Statements {
  const prepared = new Map<string, StatementSync>();
  return (sql) => {
    const known = prepared.get(sql);
    if (known) return known;
    if (prepared.size >= STATEMENTS_MAX) prepared.clear();
    const statement = db.prepare(sql);
    statement.setReadBigInts(true);
    statement.setReturnArrays(true);
    prepared.set(sql, statement);
    return statement;
  };
}

// `setReturnArrays` makes rows arrays, which the types of `node:sqlite` do not know.
export const rowsOf = (statement: StatementSync, ...parameters: SQLInputValue[]): Values[] =>
  statement.all(...parameters) as unknown as Values[];
export const rowOf = (statement: StatementSync, ...parameters: SQLInputValue[]): Values | undefined =>
  statement.get(...parameters) as unknown as Values | undefined;
