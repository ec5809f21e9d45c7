import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { root } from "./sources.ts";

export type Service = {
  image: string;
  profiles: string[];
  command?: string[];
  environment?: string[] | Record<string, string | null>;
  healthcheck?: { test: string[] };
  read_only?: boolean;
  ports?: string[];
  volumes?: string[];
};

export const compose: { services: Record<string, Service>; volumes: object } = parse(
  readFileSync(`${root}docker-compose.yml`, "utf8"),
  { merge: true },
);
export const dockerfile = readFileSync(`${root}Dockerfile`, "utf8");

/** Every service by its name, and those that run this program. */
export const services = Object.entries(compose.services);
export const ours = services.filter(([, { image }]) => image.startsWith("runledger:"));

/** What a service's process is given, as the composer fills it in with nothing set but these. */
export function variablesOf(
  { environment = {} }: Service,
  set: Readonly<Record<string, string>>,
): Record<string, string> {
  const entries = Array.isArray(environment)
    ? environment.map((name): [string, null] => [name, null])
    : Object.entries(environment);
  const given: Record<string, string> = {};
  for (const [name, value] of entries) {
    const text = value === null ? set[name] : filled(value, set);
    if (text !== undefined) given[name] = text;
  }
  return given;
}

/** `${NAME:-default}`, whose default may hold another. */
export function filled(text: string, set: Readonly<Record<string, string>>): string {
  const innermost = /\$\{(\w+):-([^${}]*)\}/;
  for (let left = text; ; ) {
    const found = innermost.exec(left);
    if (!found) return left;
    const [whole, name = "", otherwise = ""] = found;
    left = left.replace(whole, () => set[name] || otherwise);
  }
}

/** What the image sets, for every container of it. */
export function variablesOfImage(): Record<string, string> {
  const [, text = ""] = /^ENV ((?:.*\\\n)*.*)$/m.exec(dockerfile) ?? [];
  return Object.fromEntries(
    [...text.matchAll(/(\w+)=(\S+)/g)].map(([, name = "", value = ""]) => [name, value]),
  );
}
