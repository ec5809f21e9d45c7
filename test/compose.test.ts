import { readFileSync } from "node:fs";
import { Ajv } from "ajv";
import { describe, expect, it } from "vitest";
import { partsOf } from "../services/roles.ts";
import { parseConfig } from "../shared/platform/config.ts";
import { compose, dockerfile, filled, ours, services, variablesOf } from "./support/compose.ts";
import { root } from "./support/sources.ts";

const schema = JSON.parse(
  readFileSync(`${root}node_modules/dclint/schemas/compose.schema.json`, "utf8"),
) as Record<string, unknown>;
const engines = services.filter(([, { image }]) => !image.startsWith("runledger:"));
const inProfile = (profile: string) =>
  services.filter(([, { profiles }]) => profiles.includes(profile)).map(([name]) => name);

const secrets = { RUNLEDGER_SECRETS_KEY: "0".repeat(64), POSTGRES_PASSWORD: "chosen" };

describe("docker-compose.yml", () => {
  it("is what the compose specification allows", () => {
    // The schema names a draft that this library knows under another address.
    const { $schema: _, ...rest } = schema;
    const check = new Ajv({ strict: false, validateFormats: false }).compile(rest);
    expect(check(compose) ? [] : check.errors).toEqual([]);
  });

  it("has one process on SQLite, and many on three engines", () => {
    expect(inProfile("default")).toEqual(["runledger"]);
    expect(inProfile("cluster").sort()).toEqual(
      [
        ...["api-1", "api-2", "dispatcher-1", "dispatcher-2", "projector", "recipients"],
        ...["publisher", "ingest", "eventstore", "postgres", "kafka"],
      ].sort(),
    );
    expect(services.filter(([, { profiles }]) => profiles.length !== 1)).toEqual([]);
  });

  it("pins every image, checks every service's health, and keeps every engine's data", () => {
    for (const [name, { image, healthcheck }] of services) {
      expect(image, name).toMatch(/^[a-z/]+:\d+\.\d+/);
      expect(healthcheck, name).toBeDefined();
    }
    for (const [name, { volumes }] of engines) expect(volumes, name).toHaveLength(1);
    expect(Object.keys(compose.volumes).sort()).toEqual(["data", "eventstore", "kafka", "postgres"]);
  });

  it("opens ports on this machine alone", () => {
    for (const [, { ports = [] }] of services)
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
    for (const [name, { ports }] of engines) expect(ports, name).toBeUndefined();
  });

  it.each(ours)("starts %s with variables that it takes", (_, service) => {
    expect(service.read_only).toBe(true);
    const config = parseConfig(variablesOf(service, secrets));
    const [program, script, role = "all"] = service.command ?? commandOf(dockerfile);
    expect([program, script]).toEqual(["node", "services/main.ts"]);
    expect(partsOf(role, config).size).toBeGreaterThan(0);
  });

  it("has no password or key of its own: without one a process says what it needs", () => {
    for (const [, service] of ours.filter(([name]) => name !== "runledger"))
      expect(() => parseConfig(variablesOf(service, {}))).toThrow("RUNLEDGER_SECRETS_KEY must be 32 bytes");
    const { environment } = compose.services.postgres as { environment: Record<string, string> };
    expect(filled(environment.POSTGRES_PASSWORD ?? "", {})).toBe("");
  });
});

const commandOf = (text: string): string[] =>
  JSON.parse(/^CMD (\[.*\])$/m.exec(text)?.[1] ?? "[]") as string[];

describe("the Dockerfile", () => {
  it("runs as somebody who is not root, on the Node that is tested, with what the programs need", () => {
    const { devDependencies } = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as {
      devDependencies: Record<string, string>;
    };
    expect(dockerfile).toContain(`FROM node:${devDependencies.node}-slim\n`);
    expect(dockerfile.lastIndexOf("\nUSER node\n")).toBeGreaterThan(dockerfile.lastIndexOf("\nRUN "));
    for (const room of ["shared", "projections", "services"])
      expect(dockerfile).toContain(`COPY ${room} ./${room}\n`);
    expect(dockerfile).toContain("npm ci --omit=dev");
  });
});
