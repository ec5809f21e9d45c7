import { once } from "node:events";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Outcome } from "../../services/dispatcher/outcome.ts";
import { openPoster, type PosterOptions } from "../../services/dispatcher/post.ts";
import { parseAllowList } from "../../shared/webhooks/targets.ts";
import { certificateFor } from "../support/certificate.ts";
import { runScript } from "../support/child.ts";
import { listening } from "../support/listening.ts";
import { itNeeds } from "../support/skip.ts";
import { torturers } from "../support/torturers.ts";

const TOTAL_MS = 1500;
const timeouts = { response: 750, total: TOTAL_MS };
const GRACE_MS = 1000;
const MIB = 1024 ** 2;
const allow = ["127.0.0.0/8", "::1/128"];

function poster(options: Partial<PosterOptions> = {}) {
  const opened = openPoster({
    allow: parseAllowList(allow),
    socketsMax: 16,
    socketsPerOriginMax: 8,
    timeouts,
    ...options,
  });
  onTestFinished(() => opened.close());
  return (url: string) => opened.post({ url, headers: {}, body: Buffer.from("{}") });
}

describe("a receiver that", () => {
  it.each(torturers)("$name: $outcome, in time", async ({ outcome, open }) => {
    const { url } = await open();
    const post = poster();
    // Some of them turn on whoever comes back over the same connection.
    const rounds = outcome === "delivered" ? 2 : 1;
    for (let round = 0; round < rounds; round++) {
      const startMs = performance.now();
      const told = await post(url);
      const tookMs = performance.now() - startMs;
      expect(told.outcome).toBe(outcome);
      expect(Math.max(told.durationMs, tookMs)).toBeLessThan(TOTAL_MS + GRACE_MS);
    }
  });

  it("sends a body of 1 GB has sent little of it when it is cut off", async () => {
    const { open } = torturers.find(({ name }) => name === "sends a body of 1 GB") ?? {};
    const receiver = await open?.();
    const { responseBytes, excerpt } = await poster()(receiver?.url ?? "");
    expect(responseBytes).toBeGreaterThan(64 * 1024);
    expect(responseBytes).toBeLessThan(256 * 1024);
    expect(excerpt).toHaveLength(16 * 1024);
    expect(receiver?.sockets[0]?.bytesWritten).toBeLessThan(32 * MIB);
  });
});

describe("a process that posts to all of them at once", () => {
  const ROUNDS = 3;

  it("lives, has every outcome in time, and grows by less than 50 MB", async () => {
    const receivers = await Promise.all(torturers.map(({ open }) => open()));
    const urls = receivers.map(({ url }) => url);
    const child = runScript("post-child.ts", [JSON.stringify({ allow, timeouts })]);
    let last = 0;
    for (let round = 0; round < ROUNDS; round++) {
      child.tell(JSON.stringify(urls));
      const { outcomes, grownBytes }: { outcomes: Outcome[]; grownBytes: number } = JSON.parse(
        await child.says("{"),
      );
      expect(outcomes.map(({ outcome }) => outcome)).toEqual(torturers.map(({ outcome }) => outcome));
      expect(Math.max(...outcomes.map(({ durationMs }) => durationMs))).toBeLessThan(TOTAL_MS + GRACE_MS);
      last = grownBytes;
    }
    expect(last).toBeLessThan(50 * MIB);
    expect(child.process.exitCode).toBe(null);
  });
});

const NAME = "receiver.example";
const DAY_MS = 86_400_000;
const days = (count: number) => new Date(Date.now() + count * DAY_MS);

describe("a certificate that", () => {
  it.each([
    ["is good: delivered, so that the others mean something", "delivered", -1, 1, true, NAME],
    ["has run out: tls", "tls", -2, -1, true, NAME],
    ["does not hold yet: tls", "tls", 1, 2, true, NAME],
    ["nobody vouches for: tls", "tls", -1, 1, false, NAME],
    ["is for another name: tls", "tls", -1, 1, true, "another.example"],
  ] as const)("%s", async (_name, outcome, from, until, isTrusted, name) => {
    const { key, cert } = certificateFor(name, days(from), days(until));
    const before = getCACertificates("default");
    if (isTrusted) setDefaultCACertificates([...before, cert]);
    onTestFinished(() => setDefaultCACertificates(before));
    let requests = 0;
    const { port } = await listening(
      createTlsServer({ key, cert }, (_req, res) => {
        requests++;
        res.end();
      }),
    );
    const post = poster({ resolve: async () => [{ address: "127.0.0.1", family: 4 }] });
    expect(await post(`https://${NAME}:${port}/`)).toMatchObject({ outcome });
    expect(requests).toBe(outcome === "delivered" ? 1 : 0);
  });
});

describe("a receiver that has IPv6 only", () => {
  const isThere = Object.values(networkInterfaces()).some((all) =>
    all?.some(({ address }) => address === "::1"),
  );
  const itHasIpv6 = itNeeds({ name: "loopback of IPv6", isThere });

  async function receiver(): Promise<number> {
    const server = createServer((_req, res) => void res.end()).listen({
      port: 0,
      host: "::1",
      ipv6Only: true,
    });
    await once(server, "listening");
    onTestFinished(() => void server.close());
    return (server.address() as AddressInfo).port; // It listens on TCP.
  }

  itHasIpv6("is posted to by its address", async () => {
    expect(await poster()(`http://[::1]:${await receiver()}/`)).toMatchObject({ outcome: "delivered" });
  });

  itHasIpv6(
    "is posted to by its name, also where the name has an address that nobody listens at",
    async () => {
      const port = await receiver();
      const post = poster({
        resolve: async (hostname) => [
          ...(hostname === "both.example" ? [{ address: "127.0.0.1", family: 4 }] : []),
          { address: "::1", family: 6 },
        ],
      });
      for (const name of ["one.example", "both.example"])
        expect(await post(`http://${name}:${port}/`)).toMatchObject({ outcome: "delivered" });
    },
  );
});
