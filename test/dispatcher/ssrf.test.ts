import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Resolve } from "../../services/dispatcher/lookup.ts";
import { openPoster, type PosterOptions } from "../../services/dispatcher/post.ts";
import { parseAllowList } from "../../shared/webhooks/targets.ts";
import { connectionAttempts } from "../support/connection-attempts.ts";
import { forbiddenHosts } from "../support/forbidden-hosts.ts";
import { addressesIn, specialBlocks } from "../support/special-purpose.ts";

/** In these tests one address of loopback may be called, and stands for the internet. */
const allowed = "127.0.0.1";
const forbidden = ["127.0.0.2", "::1"];

type Found = readonly string[];
const resolvesTo =
  (...found: Found): Resolve =>
  async () =>
    found.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
/** Another answer each time; the last one ever after. */
function resolvesAnew(...answers: Found[]) {
  let asked = 0;
  const resolve: Resolve = (...args) =>
    resolvesTo(...(answers[Math.min(asked++, answers.length - 1)] ?? []))(...args);
  return { resolve, asked: () => asked };
}

/** Servers on one port of every loopback address there is here, who count who comes. */
async function listeners(answer: RequestListener = (_req, res) => void res.end("ok")) {
  const came: string[] = [];
  let port = 0;
  for (const address of [allowed, ...forbidden]) {
    const server = createServer(answer);
    server.on("connection", (socket) => {
      came.push(address);
      socket.on("error", () => {});
    });
    server.listen(port, address);
    await once(server, "listening");
    onTestFinished(() => {
      server.close();
      server.closeAllConnections();
    });
    ({ port } = server.address() as AddressInfo); // It listens on TCP.
  }
  return { came, port };
}

/** A poster, and whereto it tries to connect. */
function posting(options: Partial<PosterOptions> = {}) {
  const attempts = connectionAttempts();
  const allow = parseAllowList([allowed]);
  const poster = openPoster({ allow, socketsMax: 16, socketsPerOriginMax: 8, ...options });
  onTestFinished(() => poster.close());
  const body = Buffer.from("{}");
  const to = async (url: string) => (await poster.post({ url, headers: {}, body })).outcome;
  return { to, attempts };
}

const nobody = resolvesTo();
const name = "https://receiver.example";

describe("what may not be called", () => {
  it("is never connected to, however it is spelled", async () => {
    const { came, port } = await listeners();
    for (const allow of [[], ["192.168.77.0/24", "fd77::/16"]]) {
      const { to, attempts } = posting({ allow: parseAllowList(allow), resolve: nobody });
      for (const host of forbiddenHosts)
        for (const url of [`https://${host}:${port}/`, `http://${host}:${port}/`, `https://${host}/`])
          expect(await to(url), url).toBe("blocked");
      expect(attempts).toEqual([]);
    }
    expect(came).toEqual([]);
  });

  it("is never connected to, whichever special block it is of, by itself or by a name", async () => {
    const { came, port } = await listeners();
    const addresses = specialBlocks.flatMap(([block]) => addressesIn(block));
    for (const address of addresses) {
      const { to, attempts } = posting({ allow: [], resolve: resolvesTo(address) });
      const host = address.includes(":") ? `[${address}]` : address;
      expect(await to(`https://${host}:${port}/`), address).toBe("blocked");
      expect(await to(`${name}:${port}/`), address).toBe("blocked");
      expect(attempts).toEqual([]);
    }
    expect(addresses.length).toBeGreaterThan(100);
    expect(came).toEqual([]);
  });

  it("would be noticed here: what may be called is connected to", async () => {
    const { came, port } = await listeners();
    const everything = parseAllowList(["127.0.0.0/8", "::1/128"]);
    const { to, attempts } = posting({ allow: everything });
    for (const host of [allowed, "127.0.0.2", "[::1]", "0x7f.1"])
      expect(await to(`http://${host}:${port}/`), host).toBe("delivered");
    expect(came).toEqual([allowed, "127.0.0.2", "::1"]);
    expect(attempts).toEqual([allowed, "127.0.0.2", "::1"]);
  });
});

describe("a name that leads elsewhere", () => {
  it.each([
    [["127.0.0.2"]],
    [["::1"]],
    [[allowed, "127.0.0.2"]],
    [["127.0.0.2", allowed]],
    [[allowed, "::1"]],
    [["::1", allowed]],
    [[allowed, allowed, allowed, "10.0.0.1"]],
    [[allowed, "::ffff:127.0.0.2"]],
    [["::ffff:169.254.169.254"]],
    [["fe80::1%lo"]],
    [["64:ff9b::7f00:1"]],
    [["0.0.0.0"]],
    [["::"]],
    [[]],
    // What no resolver should answer, and what would be read as an address further down.
    [["127.1"]],
    [["2130706433"]],
    [["0x7f000001"]],
    [["localhost"]],
    [[""]],
    [["127.0.0.2 "]],
    [["127.0.0.2/8"]],
    [["[::1]"]],
  ])("to %j is connected to nowhere", async (found) => {
    const { came, port } = await listeners();
    const { to, attempts } = posting({ resolve: resolvesTo(...found) });
    for (const protocol of ["http", "https"])
      expect(await to(`${protocol}://receiver.example:${port}/`)).toBe("blocked");
    expect([came, attempts]).toEqual([[], []]);
  });

  it("at the next attempt is not followed", async () => {
    const { came, port } = await listeners(
      (_req, res) => void res.writeHead(500, { connection: "close" }).end(),
    );
    const { resolve, asked } = resolvesAnew([allowed], ["127.0.0.2"], ["::1"], [allowed, "::1"], [allowed]);
    const { to, attempts } = posting({ resolve });
    const outcomes: string[] = [];
    for (let attempt = 0; attempt < 5; attempt++) outcomes.push(await to(`http://receiver.example:${port}/`));
    expect(outcomes).toEqual(["http_error", "blocked", "blocked", "blocked", "http_error"]);
    expect(attempts).toEqual([allowed, allowed]);
    expect(came).toEqual([allowed, allowed]);
    expect(asked()).toBe(5);
  });

  it("between being judged and being called finds nobody who asks again", async () => {
    const { came, port } = await listeners();
    const { resolve, asked } = resolvesAnew([allowed], ["127.0.0.2"]);
    const { to, attempts } = posting({ resolve });
    expect(await to(`http://receiver.example:${port}/`)).toBe("delivered");
    // The connection that stands is one to where it was allowed.
    expect(await to(`http://receiver.example:${port}/`)).toBe("delivered");
    expect([asked(), came, attempts]).toEqual([1, [allowed], [allowed]]);
  });

  it("while a kept connection breaks is not followed by the second try", async () => {
    let requests = 0;
    const { came, port } = await listeners((req, res) => {
      if (++requests === 1) res.end("ok");
      else req.socket.destroy();
    });
    const { resolve } = resolvesAnew([allowed], ["127.0.0.2"]);
    const { to, attempts } = posting({ resolve });
    expect(await to(`http://receiver.example:${port}/`)).toBe("delivered");
    expect(await to(`http://receiver.example:${port}/`)).toBe("blocked");
    expect([came, attempts, requests]).toEqual([[allowed], [allowed], 2]);
  });

  it("for some of many at once is followed by none of them", async () => {
    const { came, port } = await listeners();
    const { resolve } = resolvesAnew(["127.0.0.2"], [allowed, "::1"]);
    const { to, attempts } = posting({ resolve });
    const names = Array.from({ length: 20 }, (_, index) => `http://r${index}.example:${port}/`);
    expect(new Set(await Promise.all(names.map(to)))).toEqual(new Set(["blocked"]));
    expect([came, attempts]).toEqual([[], []]);
  });

  it("with several addresses is called at those that were judged, one after the other", async () => {
    const { came, port } = await listeners();
    // Nobody listens at the first.
    const both = parseAllowList([allowed, "127.0.0.3"]);
    const { to, attempts } = posting({ allow: both, resolve: resolvesTo("127.0.0.3", allowed) });
    expect(await to(`http://receiver.example:${port}/`)).toBe("delivered");
    expect([came, attempts]).toEqual([[allowed], ["127.0.0.3", allowed]]);
  });

  it.each(["::ffff:127.0.0.1", "::ffff:7f00:1"])(
    "to %s is called as the address that it is",
    async (mapped) => {
      const { port } = await listeners();
      const { to, attempts } = posting({ resolve: resolvesTo(mapped) });
      await to(`http://receiver.example:${port}/`);
      expect(attempts.filter((address) => !address.endsWith("127.0.0.1") && address !== mapped)).toEqual([]);
    },
  );
});

describe("a receiver that sends us elsewhere", () => {
  const places = (port: number) => [
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    `http://127.0.0.2:${port}/`,
    `http://[::1]:${port}/`,
    `//127.0.0.2:${port}/`,
    "http://metadata.google.internal/computeMetadata/v1/",
    "file:///etc/passwd",
  ];

  it.each([301, 302, 303, 307, 308, 300, 305])("is not followed (%i)", async (status) => {
    let place = "";
    const { came, port } = await listeners((_req, res) => {
      const elsewhere = { location: place, refresh: `0; url=${place}`, "content-location": place };
      res.writeHead(status, { ...elsewhere, "alt-svc": `h2="127.0.0.2:${port}"` }).end();
    });
    const { to, attempts } = posting();
    for (place of places(port)) expect(await to(`http://${allowed}:${port}/`)).toBe("http_error");
    expect(new Set([...came, ...attempts])).toEqual(new Set([allowed]));
  });

  it("is not believed that another place is better", async () => {
    const { came, port } = await listeners((_req, res) => {
      res.writeHead(200, {
        "alt-svc": `http/1.1="127.0.0.2:${port}"`,
        refresh: `0; url=http://[::1]:${port}/`,
      });
      res.end();
    });
    const { to, attempts } = posting();
    for (let attempt = 0; attempt < 3; attempt++)
      expect(await to(`http://${allowed}:${port}/`)).toBe("delivered");
    expect(new Set([...came, ...attempts])).toEqual(new Set([allowed]));
  });
});

describe("a proxy of the environment", () => {
  it("is not asked", async () => {
    const { came, port } = await listeners();
    for (const variable of [
      "HTTP_PROXY",
      "http_proxy",
      "HTTPS_PROXY",
      "https_proxy",
      "ALL_PROXY",
      "all_proxy",
    ]) {
      const before = process.env[variable];
      process.env[variable] = `http://127.0.0.2:${port}`;
      onTestFinished(() => {
        if (before === undefined) delete process.env[variable];
        else process.env[variable] = before;
      });
    }
    const { to, attempts } = posting({ resolve: resolvesTo(allowed) });
    expect(await to(`http://receiver.example:${port}/`)).toBe("delivered");
    await to(`https://receiver.example:${port}/`);
    expect(new Set([...came, ...attempts])).toEqual(new Set([allowed]));
  });
});
