import { expect } from "vitest";
import type { Client, Reply } from "./client.ts";

/** One request, and what is to be said to it: status, code, and, of a body, the places that do not fit. */
export type Refused = [ask: () => Promise<Reply<Record<string, unknown>>>, expected: string];

/** Sends every request, and expects the refusals and that the log is as long as before. */
export async function expectRefused({ get }: Client, cases: Readonly<Record<string, Refused>>) {
  const head = async () => (await get("/readyz")).body.head;
  const before = await head();
  const answered: Record<string, string> = {};
  for (const [name, [ask]] of Object.entries(cases)) answered[name] = said(await ask());
  const expected = Object.entries(cases).map(([name, [, text]]) => [name, text]);
  expect(answered).toEqual(Object.fromEntries(expected));
  expect(await head()).toBe(before);
}

function said({ status, headers, body }: Reply<Record<string, unknown>>): string {
  const problem = headers.get("content-type") === "application/problem+json; charset=utf-8";
  const errors = (body.errors ?? []) as { pointer: string }[];
  const places = errors.map(({ pointer }) => ` ${pointer || "."}`).join("");
  return `${status} ${problem ? body.code : "no problem"}${places}`;
}
