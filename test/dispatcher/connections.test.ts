import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { request as httpRequest, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createServer as createNetServer } from "node:net";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import { openConnections } from "../../services/dispatcher/connections.ts";
import { BlockedTarget } from "../../services/dispatcher/lookup.ts";
import { openPoster, type PosterOptions } from "../../services/dispatcher/post.ts";
import { parseAllowList } from "../../shared/webhooks/targets.ts";
import { closed, httpReceiver, listening, rawReceiver } from "../support/listening.ts";
import { itNeeds, program } from "../support/skip.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const allow = parseAllowList(["127.0.0.0/8"]);
const ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

function poster(options: Partial<PosterOptions> = {}) {
  const opened = openPoster({ allow, socketsMax: 16, socketsPerOriginMax: 8, ...options });
  onTestFinished(() => opened.close());
  const body = Buffer.from("{}");
  return {
    ...opened,
    to: (url: string, signal?: AbortSignal) => opened.post({ url, headers: {}, body }, signal),
  };
}

describe("a connection", () => {
  it("is used again", async () => {
    const { url, sockets } = await httpReceiver((_req, res) => void res.end("ok"));
    const { to } = poster();
    for (let count = 0; count < 5; count++) expect(await to(url)).toMatchObject({ outcome: "delivered" });
    expect(sockets).toHaveLength(1);
  });

  it("is used again after an answer without a body", async () => {
    const { url, sockets } = await httpReceiver((_req, res) => void res.writeHead(204).end());
    const { to } = poster();
    for (let count = 0; count < 5; count++) expect(await to(url)).toMatchObject({ outcome: "delivered" });
    expect(sockets).toHaveLength(1);
  });

  it("is one of so many to an origin; the others wait for it", async () => {
    const held: ServerResponse[] = [];
    let onRequest = () => {};
    const { url, sockets } = await httpReceiver((_req, res) => {
      held.push(res);
      onRequest();
    });
    const { to } = poster({ socketsPerOriginMax: 2 });
    const two = new Promise<void>((resolve) => {
      onRequest = () => held.length === 2 && resolve();
    });
    const posts = Array.from({ length: 5 }, () => to(url));
    await two;
    onRequest = () => held.at(-1)?.end();
    for (const res of held.splice(0)) res.end();
    expect((await Promise.all(posts)).map(({ outcome }) => outcome)).toEqual(Array(5).fill("delivered"));
    expect(sockets).toHaveLength(2);
  });

  it("that is idle is closed when there are too many over all origins", async () => {
    const first = await httpReceiver((_req, res) => void res.end());
    const second = await httpReceiver((_req, res) => void res.end());
    const { to } = poster({ socketsMax: 1 });
    await to(first.url);
    await to(second.url);
    await closed(first.sockets[0]);
    expect(second.sockets[0]?.destroyed).toBe(false);
  });

  it("that is in use is not closed for another", async () => {
    const held: ServerResponse[] = [];
    const first = await httpReceiver((_req, res) => void held.push(res));
    const second = await httpReceiver((_req, res) => {
      res.end();
      for (const waiting of held) waiting.end();
    });
    const { to } = poster({ socketsMax: 1 });
    const waiting = to(first.url);
    expect(await to(second.url)).toMatchObject({ outcome: "delivered" });
    expect(await waiting).toMatchObject({ outcome: "delivered" });
  });
});

describe("a kept connection that is reset", () => {
  it.each(["destroy", "resetAndDestroy"] as const)(
    "before any answer (%s) counts for nothing: a new one is tried",
    async (reset) => {
      let requests = 0;
      const { url, sockets } = await rawReceiver((socket, turn) => {
        requests++;
        if (turn === 1) socket.write(ok);
        else socket[reset]();
      });
      const { to } = poster();
      await to(url);
      expect(await to(url)).toMatchObject({ outcome: "delivered", excerpt: "ok" });
      expect(sockets).toHaveLength(2);
      expect(requests).toBe(3);
    },
  );

  it("is tried over one new connection, not over more", async () => {
    let isFirst = true;
    const { url, sockets } = await rawReceiver((socket) => {
      if (isFirst) socket.write(ok);
      else socket.destroy();
      isFirst = false;
    });
    const { to } = poster();
    await to(url);
    expect(await to(url)).toEqual({ outcome: "reset", durationMs: expect.any(Number) });
    expect(sockets).toHaveLength(2);
  });

  it("within its answer is the receiver's doing", async () => {
    const { url, sockets } = await rawReceiver((socket, turn) => {
      if (turn === 1) socket.write(ok);
      else socket.end("HTTP/1.1 200 OK\r\nx: ");
    });
    const { to } = poster();
    await to(url);
    expect(await to(url)).toMatchObject({ outcome: "reset" });
    expect(sockets).toHaveLength(1);
  });

  it("has what is left of the time for the new one", async () => {
    let turns = 0;
    const { url } = await rawReceiver((socket) => {
      turns++;
      if (turns === 1) socket.write(ok);
      if (turns === 2) socket.destroy();
    });
    const { to } = poster({ timeouts: { total: 60 } });
    await to(url);
    expect(await to(url)).toMatchObject({ outcome: "timeout_headers" });
    expect(turns).toBe(3);
  });
});

describe("a post that is called off", () => {
  it("ends at once, and so does its connection", async () => {
    const calledOff = new AbortController();
    const { url, sockets } = await rawReceiver(() => calledOff.abort());
    expect(await poster().to(url, calledOff.signal)).toMatchObject({ outcome: "unknown" });
    await closed(sockets[0]);
  });

  it("beforehand connects nowhere", async () => {
    const { url, sockets } = await httpReceiver((_req, res) => void res.end());
    expect(await poster().to(url, AbortSignal.abort())).toMatchObject({ outcome: "unknown" });
    expect(sockets).toHaveLength(0);
  });

  it("beside many others under one signal leaves no listener behind", async () => {
    const warnings: Error[] = [];
    const warned = (warning: Error) => void warnings.push(warning);
    process.on("warning", warned);
    onTestFinished(() => void process.off("warning", warned));
    const { url } = await httpReceiver((_req, res) => void res.end());
    const { to } = poster();
    const { signal } = new AbortController();
    await Promise.all(Array.from({ length: 64 }, () => to(url, signal)));
    expect(warnings).toEqual([]);
  });
});

describe("an address that may not be called", () => {
  it.each([
    "127.0.0.1",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "localhost",
    "①②⑦.0.0.1",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
  ])("is not connected to, however it is spelt: %s", async (host) => {
    const { port, sockets } = await httpReceiver((_req, res) => void res.end());
    const elsewhere = poster({ allow: parseAllowList(["10.0.0.0/8"]) });
    for (const protocol of ["http", "https"])
      expect(await elsewhere.to(`${protocol}://${host}:${port}/`)).toEqual({
        outcome: "blocked",
        durationMs: 0,
      });
    expect(sockets).toHaveLength(0);
  });

  it.each(["http", "https"])("is not connected to when a name leads there (%s)", async (protocol) => {
    const { port, sockets } = await httpReceiver((_req, res) => void res.end());
    const resolve = async () => [
      { address: "10.0.0.1", family: 4 },
      { address: "127.0.0.1", family: 4 },
    ];
    const { to } = poster({ resolve, allow: parseAllowList(["10.0.0.0/8"]) });
    expect(await to(`${protocol}://receiver.example:${port}/`)).toMatchObject({ outcome: "blocked" });
    expect(sockets).toHaveLength(0);
  });

  it("is left before a byte is written, should a connection lead there all the same", async () => {
    let received = 0;
    const server = createNetServer((socket) => socket.on("data", ({ length }) => (received += length)));
    const { port, sockets } = await listening(server);
    const connections = openConnections(
      { allow: parseAllowList([]), socketsMax: 1, socketsPerOriginMax: 1 },
      { lookup: 5000, connect: 5000, handshake: 5000 },
    );
    const request = httpRequest({ host: "127.0.0.1", port, agent: connections.kept.http, method: "POST" });
    request.end("secret");
    const [error] = await once(request, "error");
    expect(error).toBeInstanceOf(BlockedTarget);
    if (sockets.length === 0) await once(server, "connection");
    await closed(sockets[0]);
    expect(received).toBe(0);
  });

  it("may be called by name where it is allowed", async () => {
    const { port } = await httpReceiver((_req, res) => void res.end());
    const resolve = async () => [{ address: "127.0.0.1", family: 4 }];
    const outcome = await poster({ resolve }).to(`http://receiver.example:${port}/`);
    expect(outcome).toMatchObject({ outcome: "delivered" });
  });
});

describe("TLS", () => {
  function certificate() {
    const folder = temporaryFolder();
    const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
    const subject = ["-subj", "/CN=receiver.example", "-addext", "subjectAltName=DNS:receiver.example"];
    const kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    spawnSync("openssl", [...kind, "-days", "2", "-keyout", key, "-out", cert, ...subject]);
    return { key: readFileSync(key), cert: readFileSync(cert, "utf8") };
  }
  const resolve = async () => [{ address: "127.0.0.1", family: 4 }];
  const itHasOpenssl = itNeeds({ ...program("openssl"), name: "openssl" });

  itHasOpenssl("with a certificate that nobody vouches for is refused before anything is sent", async () => {
    let requests = 0;
    const server = createTlsServer(certificate(), (_req, res) => {
      requests++;
      res.end();
    });
    const { url, port } = await listening(server, "https");
    const { to } = poster({ resolve });
    expect(await to(url)).toEqual({ outcome: "tls", durationMs: expect.any(Number) });
    expect(await to(`https://receiver.example:${port}/`)).toMatchObject({ outcome: "tls" });
    expect(requests).toBe(0);
  });

  itHasOpenssl("with a trusted certificate delivers, to the name that it is for", async () => {
    const { key, cert } = certificate();
    const before = getCACertificates("default");
    setDefaultCACertificates([...before, cert]);
    onTestFinished(() => setDefaultCACertificates(before));
    const { port, sockets } = await listening(
      createTlsServer({ key, cert }, (_req, res) => void res.end("ok")),
    );
    const { to } = poster({ resolve });
    for (let count = 0; count < 2; count++)
      expect(await to(`https://receiver.example:${port}/`)).toMatchObject({
        outcome: "delivered",
        excerpt: "ok",
      });
    expect(sockets).toHaveLength(1);
    expect(await to(`https://another.example:${port}/`)).toMatchObject({ outcome: "tls" });
  });

  it("is not what everybody speaks", async () => {
    const { port } = await httpReceiver((_req, res) => void res.end());
    expect(await poster().to(`https://127.0.0.1:${port}/`)).toMatchObject({ outcome: "tls" });
  });

  it.each([
    ["breaks off", {}, "tls"],
    ["takes too long", { secureConnect: 30 }, "timeout_connect"],
    ["takes all the time", { total: 30 }, "timeout_connect"],
  ] as const)("that %s in its handshake has not connected", async (name, timeouts, outcome) => {
    const { port } = await rawReceiver((socket) => {
      if (name === "breaks off") socket.destroy();
    });
    const opened = poster({ timeouts });
    expect(await opened.to(`https://127.0.0.1:${port}/`)).toMatchObject({ outcome });
  });
});
