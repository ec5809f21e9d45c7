import type { ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { getCACertificates, setDefaultCACertificates, type TLSSocket } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Resolve } from "../../services/dispatcher/lookup.ts";
import { openPoster, type PosterOptions } from "../../services/dispatcher/post.ts";
import type { ProxyFailed } from "../../services/dispatcher/proxy-faults.ts";
import { parseAllowList } from "../../shared/webhooks/targets.ts";
import { certificateFor } from "../support/certificate.ts";
import { openConnectProxy } from "../support/connect-proxy.ts";
import { connectionAttempts } from "../support/connection-attempts.ts";
import { forbiddenHosts } from "../support/forbidden-hosts.ts";
import { closed, httpReceiver, type Listening, listening, rawReceiver } from "../support/listening.ts";
import { addressesIn, specialBlocks } from "../support/special-purpose.ts";

const TOTAL_MS = 1500;
const resolvesTo =
  (...found: string[]): Resolve =>
  async () =>
    found.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
const here = resolvesTo("127.0.0.1");

type Options = Partial<Omit<PosterOptions, "proxy">> & { host?: string; authorization?: string };

/** A poster that goes through the proxy at a port, and what it says of that. */
function through(port: number, { host = "127.0.0.1", authorization, ...options }: Options = {}) {
  const failures: ProxyFailed[] = [];
  let nowMs = 1_000_000;
  const opened = openPoster({
    allow: parseAllowList(["127.0.0.1", "127.0.0.4"]),
    socketsMax: 16,
    socketsPerOriginMax: 8,
    resolve: here,
    timeouts: { lookup: 300, connect: 300, secureConnect: 300, response: 750, total: TOTAL_MS },
    proxy: {
      host,
      port,
      ...(authorization === undefined ? {} : { authorization }),
      now: () => nowMs,
      onFailed: (error) => void failures.push(error),
    },
    ...options,
  });
  onTestFinished(() => opened.close());
  return {
    failures,
    close: opened.close,
    heldMs: (url: string) => Math.max(0, opened.heldUntilMs(url) - nowMs),
    later(ms: number): void {
      nowMs += ms;
    },
    to: (url: string) => opened.post({ url, headers: { "webhook-id": "m" }, body: Buffer.from("{}") }),
  };
}

/** A receiver for a name, by TLS, whose certificate is trusted here. */
async function tlsReceiver(name: string) {
  const { key, cert } = certificateFor(name, new Date(Date.now() - 86_400_000), new Date(2_100_000_000_000));
  const before = getCACertificates("default");
  setDefaultCACertificates([...before, cert]);
  onTestFinished(() => setDefaultCACertificates(before));
  const seen: { host: string | undefined; servername: unknown }[] = [];
  const server = createTlsServer({ key, cert }, (req, res) => {
    // It is what listens here by TLS.
    seen.push({ host: req.headers.host, servername: (req.socket as TLSSocket).servername });
    res.end("ok");
  });
  return { ...(await listening(server, "https")), seen };
}

describe("through a proxy", () => {
  it("a webhook goes to the address that we resolved, which is all that the proxy is told", async () => {
    const receiver = await httpReceiver((req, res) => void res.end(`to ${req.headers.host}`));
    const proxy = await openConnectProxy();
    const { to } = through(proxy.port, { host: "localhost" });
    const url = `http://receiver.example:${receiver.port}/`;
    expect(await to(url)).toMatchObject({
      outcome: "delivered",
      excerpt: `to receiver.example:${receiver.port}`,
    });
    const authority = `127.0.0.1:${receiver.port}`;
    expect(proxy.asked).toEqual([{ authority, headers: { host: authority, connection: expect.anything() } }]);
    expect(proxy.others).toEqual([]);
  });

  it("TLS is spoken with the receiver, by its name", async () => {
    const receiver = await tlsReceiver("receiver.example");
    const proxy = await openConnectProxy();
    const { to } = through(proxy.port);
    for (let count = 0; count < 3; count++)
      expect(await to(`https://receiver.example:${receiver.port}/`)).toMatchObject({ outcome: "delivered" });
    const host = `receiver.example:${receiver.port}`;
    expect(receiver.seen).toEqual(Array(3).fill({ host, servername: "receiver.example" }));
    expect(proxy.authorities()).toEqual([`127.0.0.1:${receiver.port}`]);
    expect(await to(`https://another.example:${receiver.port}/`)).toMatchObject({ outcome: "tls" });
  });

  it("credentials are for the proxy alone", async () => {
    const authorization = `Basic ${Buffer.from("me:secret").toString("base64")}`;
    let headers: unknown;
    const receiver = await httpReceiver((req, res) => {
      headers = req.headers;
      res.end();
    });
    const proxy = await openConnectProxy({ authorization });
    expect(await through(proxy.port, { authorization }).to(receiver.url)).toMatchObject({
      outcome: "delivered",
    });
    expect(headers).not.toHaveProperty("proxy-authorization");
    expect(headers).toMatchObject({ "webhook-id": "m" });
  });

  it.each(["http", "tls"])("a connection is used again (%s)", async (kind) => {
    const receiver =
      kind === "tls"
        ? await tlsReceiver("receiver.example")
        : await httpReceiver((_req, res) => void res.end());
    const proxy = await openConnectProxy();
    const { to } = through(proxy.port);
    const url = `${kind === "tls" ? "https" : "http"}://receiver.example:${receiver.port}/`;
    for (let count = 0; count < 5; count++) expect(await to(url)).toMatchObject({ outcome: "delivered" });
    expect([receiver.sockets.length, proxy.sockets.length]).toEqual([1, 1]);
  });

  it("there are so many connections to an origin, and the others wait for them", async () => {
    const held: ServerResponse[] = [];
    const two = Promise.withResolvers<void>();
    const receiver = await httpReceiver((_req, res) => {
      held.push(res);
      if (held.length === 2) two.resolve();
      if (held.length > 2) res.end();
    });
    const proxy = await openConnectProxy();
    const { to } = through(proxy.port, { socketsPerOriginMax: 2 });
    const posts = Array.from({ length: 8 }, () => to(receiver.url));
    await two.promise;
    for (const res of held) res.end();
    expect(new Set((await Promise.all(posts)).map(({ outcome }) => outcome))).toEqual(new Set(["delivered"]));
    expect([receiver.sockets.length, proxy.sockets.length]).toEqual([2, 2]);
  });

  it("those who wait are not forgotten when the first ones fail", async () => {
    let asked = 0;
    const proxy = await openConnectProxy({
      answer: (_authority, socket) => ++asked <= 2 && !!socket.end("HTTP/1.1 403 No\r\n\r\n"),
    });
    const receiver = await httpReceiver((_req, res) => void res.end());
    const { to } = through(proxy.port, { socketsPerOriginMax: 2 });
    const posts = await Promise.all(Array.from({ length: 8 }, () => to(receiver.url)));
    expect(posts.map(({ outcome }) => outcome).sort()).toEqual([
      ...Array(6).fill("delivered"),
      ...Array(2).fill("unknown"),
    ]);
    expect(proxy.sockets.length).toBeLessThanOrEqual(4);
  });

  it("one that is idle is closed when there are too many over all origins", async () => {
    const [first, second] = [
      await tlsReceiver("first.example"),
      await httpReceiver((_req, res) => void res.end()),
    ];
    const proxy = await openConnectProxy();
    const { to } = through(proxy.port, { socketsMax: 1 });
    expect(await to(`https://first.example:${first.port}/`)).toMatchObject({ outcome: "delivered" });
    expect(await to(second.url)).toMatchObject({ outcome: "delivered" });
    await closed(proxy.sockets[0]);
    await closed(first.sockets[0]);
    expect(proxy.sockets[1]?.destroyed).toBe(false);
  });

  it("a kept connection that is lost counts for nothing: a new one is tried", async () => {
    const receiver = await rawReceiver((socket, turn) => {
      if (turn === 1) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
      else socket.destroy();
    });
    const proxy = await openConnectProxy();
    const { to } = through(proxy.port);
    for (let count = 0; count < 2; count++)
      expect(await to(receiver.url)).toMatchObject({ outcome: "delivered" });
    expect(proxy.authorities()).toHaveLength(2);
  });

  it("a name with several addresses is tried at those that were judged, one after the other", async () => {
    const receiver = await httpReceiver((_req, res) => void res.end());
    const proxy = await openConnectProxy();
    const { to, failures } = through(proxy.port, { resolve: resolvesTo("127.0.0.4", "127.0.0.1") });
    expect(await to(`http://receiver.example:${receiver.port}/`)).toMatchObject({ outcome: "delivered" });
    expect(proxy.authorities()).toEqual([`127.0.0.4:${receiver.port}`, `127.0.0.1:${receiver.port}`]);
    expect(failures).toEqual([]);
  });

  it("an address of IPv6 is asked for in brackets", async () => {
    const proxy = await openConnectProxy({
      answer: (_authority, socket) => !!socket.end("HTTP/1.1 403 No\r\n\r\n"),
    });
    const allow = parseAllowList(["2001:db8::/32"]);
    const { to } = through(proxy.port, { allow, resolve: resolvesTo("2001:db8::1") });
    for (const host of ["receiver.example", "[2001:db8::2]"]) await to(`http://${host}/`);
    await to("https://receiver.example/");
    expect(proxy.authorities()).toEqual(["[2001:db8::1]:80", "[2001:db8::2]:80", "[2001:db8::1]:443"]);
  });

  it("what waits for the proxy ends when the sender stops", async () => {
    const asked = Promise.withResolvers<void>();
    const proxy = await openConnectProxy({
      answer(_authority, socket) {
        socket.resume().once("end", () => socket.destroy());
        asked.resolve();
        return true;
      },
    });
    const { to, close, failures } = through(proxy.port, { timeouts: {} });
    const post = to("http://127.0.0.1:9/");
    await asked.promise;
    close();
    expect(await post).toMatchObject({ outcome: "unknown" });
    await closed(proxy.sockets[0]);
    expect(failures).toEqual([]);
  });
});

describe("what may not be called", () => {
  it("is never asked of the proxy, however it is spelled", async () => {
    const proxy = await openConnectProxy();
    const attempts = connectionAttempts();
    const { to } = through(proxy.port, { allow: [], resolve: resolvesTo() });
    for (const host of forbiddenHosts)
      for (const url of [`https://${host}:${proxy.port}/`, `http://${host}/`, `https://${host}/`])
        expect(await to(url), url).toMatchObject({ outcome: "blocked" });
    expect([proxy.asked, attempts]).toEqual([[], []]);
  });

  it("is never asked of the proxy, whichever special block a name leads to", async () => {
    const proxy = await openConnectProxy();
    const addresses = specialBlocks.flatMap(([block]) => addressesIn(block));
    for (const address of addresses) {
      const { to } = through(proxy.port, { allow: [], resolve: resolvesTo(address) });
      expect(await to("https://receiver.example/"), address).toMatchObject({ outcome: "blocked" });
    }
    expect(addresses.length).toBeGreaterThan(100);
    expect(proxy.asked).toEqual([]);
  });

  it.each([[["127.0.0.2"]], [["127.0.0.1", "127.0.0.2"]], [["127.0.0.1", "::1"]], [[]], [["localhost"]]])(
    "is not asked of the proxy for a name that leads to %j",
    async (found) => {
      const proxy = await openConnectProxy();
      const { to } = through(proxy.port, { resolve: resolvesTo(...found) });
      for (const protocol of ["http", "https"])
        expect(await to(`${protocol}://receiver.example:8080/`)).toMatchObject({ outcome: "blocked" });
      expect(proxy.asked).toEqual([]);
    },
  );

  it("is not the proxy itself, which is where the operator says", async () => {
    const receiver = await httpReceiver((_req, res) => void res.end());
    const proxy = await openConnectProxy();
    const { to } = through(proxy.port, {
      allow: parseAllowList(["127.0.0.4"]),
      resolve: resolvesTo("127.0.0.4"),
    });
    expect(await to(`http://receiver.example:${receiver.port}/`)).toMatchObject({ proxyFailure: "failed" });
    expect(proxy.authorities()).toEqual([`127.0.0.4:${receiver.port}`]);
    expect(await to(receiver.url)).toMatchObject({ outcome: "blocked" });
  });

  it("is no name that nobody knows", async () => {
    const proxy = await openConnectProxy();
    const resolve = async () => Promise.reject(Object.assign(new Error("no"), { code: "ENOTFOUND" }));
    expect(await through(proxy.port, { resolve }).to("https://a.example/")).toMatchObject({ outcome: "dns" });
    const silent = async () => new Promise<never>(() => {});
    expect(await through(proxy.port, { resolve: silent }).to("https://a.example/")).toMatchObject({
      outcome: "dns",
    });
    expect(proxy.asked).toEqual([]);
  });
});

const says = (text: string) => () => rawReceiver((socket) => socket.end(text, "latin1"));
const silence = () => rawReceiver(() => {});
const drips = (head: string, drop: string) => () =>
  rawReceiver((socket) => {
    socket.write(head);
    const dripping = setInterval(() => socket.write(drop), 5);
    socket.once("close", () => clearInterval(dripping));
  });

const hostile: [string, string, () => Promise<Pick<Listening, "port">>][] = [
  ["is not there: unreachable", "unreachable", async () => ({ port: 1 })],
  ["wants credentials: unauthorized", "unauthorized", says("HTTP/1.1 407 No\r\n\r\n")],
  ["does not let us: denied", "denied", says("HTTP/1.1 403 No\r\n\r\n")],
  ["sends us elsewhere: denied", "denied", says("HTTP/1.1 302 No\r\nlocation: http://127.0.0.2/\r\n\r\n")],
  ["cannot: failed", "failed", says("HTTP/1.1 502 No\r\n\r\n")],
  ["is too slow beyond: timed_out", "timed_out", says("HTTP/1.1 504 No\r\n\r\n")],
  ["says nothing: silent", "silent", silence],
  ["drips its headers: silent", "silent", drips("HTTP/1.1 200 OK\r\nx: ", "y")],
  ["hints without end: garbage", "garbage", drips("", "HTTP/1.1 103 Early Hints\r\n\r\n")],
  ["speaks something else: garbage", "garbage", says("220 mail.example ESMTP\r\n")],
  ["says nothing and goes: closed", "closed", () => rawReceiver((socket) => socket.destroy())],
  ["goes in the middle: closed", "closed", says("HTTP/1.1 200 O")],
  ["has huge headers: garbage", "garbage", says(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(1_000_000)}\r\n\r\n`)],
  ["answers before it is asked: garbage", "garbage", says("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")],
];

describe("a proxy that", () => {
  it.each(hostile)("%s, and no receiver's fault, in time", async (_name, proxyFailure, open) => {
    const { port } = await open();
    for (const url of ["http://127.0.0.1:9/", "https://receiver.example/"]) {
      const allow = parseAllowList(["127.0.0.1"]);
      const { to, failures, heldMs } = through(port, { allow });
      const told = await to(url);
      expect(told).toEqual({ outcome: "unknown", proxyFailure, durationMs: expect.any(Number) });
      expect(told.durationMs).toBeLessThan(TOTAL_MS + 1000);
      expect(failures.map(({ failure }) => failure)).toEqual([proxyFailure]);
      expect(heldMs(url)).toBe(1000);
    }
  });

  it.each([["hangs", silence, "silent"]] as const)(
    "%s for all the time is at fault",
    async (_name, open, failure) => {
      const { port } = await open();
      const { to } = through(port, { timeouts: { total: 100 } });
      expect(await to("http://127.0.0.1:9/")).toMatchObject({ outcome: "unknown", proxyFailure: failure });
    },
  );

  it("cuts a tunnel looks like a receiver that does", async () => {
    const proxy = await openConnectProxy({
      answer: (_authority, socket) => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        socket.once("data", () => socket.destroy());
        return true;
      },
    });
    const { to } = through(proxy.port);
    expect(await to("http://127.0.0.1:9/")).toMatchObject({ outcome: "reset" });
    expect(await to("https://receiver.example/")).toMatchObject({ outcome: "tls" });
  });

  it("got somebody through just now is believed: then it is that receiver who is not there", async () => {
    const working = await httpReceiver((_req, res) => void res.end());
    const receiver = "http://127.0.0.1:9/";
    const answers = ["HTTP/1.1 502 No\r\n\r\n", "HTTP/1.1 504 No\r\n\r\n", ""];
    const proxy = await openConnectProxy({
      answer: (authority, socket) => authority === "127.0.0.1:9" && !!socket.end(answers.shift() ?? ""),
    });
    const { to, failures, later, heldMs } = through(proxy.port);
    expect(await to(working.url)).toMatchObject({ outcome: "delivered" });
    for (const outcome of ["refused", "timeout_connect", "reset"])
      expect(await to(receiver)).toEqual({ outcome, durationMs: expect.any(Number) });
    expect([failures, heldMs(receiver)]).toEqual([[], 0]);
    later(60_000);
    expect(await to(receiver)).toMatchObject({ outcome: "unknown", proxyFailure: "closed" });
    // What comes back over a connection that stands proves it too.
    expect(await to(working.url)).toMatchObject({ outcome: "delivered" });
    expect(await to(receiver)).toMatchObject({ outcome: "reset" });
    expect(proxy.authorities()).toHaveLength(6);
  });
});
