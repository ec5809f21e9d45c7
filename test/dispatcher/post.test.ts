import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { describe, expect, it, onTestFinished } from "vitest";
import { openPoster, type PosterOptions } from "../../services/dispatcher/post.ts";
import { parseAllowList } from "../../shared/webhooks/targets.ts";
import { closed, httpReceiver, listening, rawReceiver } from "../support/listening.ts";

const allow = parseAllowList(["127.0.0.0/8"]);
const body = Buffer.from('{"id":"delivery_1","prompt":"Größe? 💥"}');
const headers = { "content-type": "application/json", "webhook-id": "delivery_1" };
const KIB = 1024;

function poster(options: Partial<PosterOptions> = {}) {
  const opened = openPoster({ allow, socketsMax: 16, socketsPerOriginMax: 8, ...options });
  onTestFinished(() => opened.close());
  return {
    ...opened,
    to: (url: string, signal?: AbortSignal) => opened.post({ url, headers, body }, signal),
  };
}
const post = (url: string, options?: Partial<PosterOptions>) => poster(options).to(url);
const ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

describe("what is sent", () => {
  it("is the very bytes, with the headers, and nothing that was not asked for", async () => {
    const received: { method?: string; url?: string; headers: object; body: string }[] = [];
    const { url, port } = await httpReceiver(async (req, res) => {
      const { method = "", url: path = "", headers: sent } = req;
      received.push({ method, url: path, headers: sent, body: await text(req) });
      res.setHeader("set-cookie", "a=b").end();
    });
    const { to } = poster();
    await to(`${url}?a=b#part`);
    await to(`${url}?a=b#part`);
    const expected = {
      method: "POST",
      url: "/hook?a=b",
      headers: {
        host: `127.0.0.1:${port}`,
        connection: "keep-alive",
        "content-length": `${body.length}`,
        "accept-encoding": "identity",
        "user-agent": expect.stringMatching(/^Runledger\/\d/),
        ...headers,
      },
      body: body.toString(),
    };
    expect(received).toEqual([expected, expected]);
  });

  it("may be 256 KiB", async () => {
    const large = Buffer.alloc(256 * KIB, "x");
    let bytes = 0;
    const { url } = await httpReceiver(async (req, res) => {
      bytes = (await text(req)).length;
      res.end();
    });
    expect(await poster().post({ url, headers, body: large })).toMatchObject({ outcome: "delivered" });
    expect(bytes).toBe(large.length);
  });

  it("goes straight there, whatever proxy the environment names", async () => {
    const names = ["HTTP_PROXY", "http_proxy", "NODE_USE_ENV_PROXY"];
    for (const name of names) process.env[name] = "http://127.0.0.1:1";
    onTestFinished(() => names.forEach((name) => void delete process.env[name]));
    const { url } = await httpReceiver((_req, res) => void res.end());
    expect(await post(url)).toMatchObject({ outcome: "delivered" });
  });
});

describe("an answer", () => {
  it.each([200, 201, 202, 204, 299])("%i is delivered", async (httpStatus) => {
    const { url } = await httpReceiver((_req, res) => void res.writeHead(httpStatus).end());
    expect(await post(url)).toEqual({ outcome: "delivered", httpStatus, durationMs: expect.any(Number) });
  });

  it.each([300, 304, 400, 401, 404, 410, 429, 500, 502, 503, 599])("%i is an error", async (httpStatus) => {
    const { url } = await httpReceiver((_req, res) => void res.writeHead(httpStatus).end());
    expect(await post(url)).toEqual({ outcome: "http_error", httpStatus, durationMs: expect.any(Number) });
  });

  it.each([301, 302, 303, 307, 308])(
    "%i is an error, and where it points is not called",
    async (httpStatus) => {
      const other = await httpReceiver((_req, res) => void res.end());
      const { url } = await httpReceiver(
        (_req, res) => void res.writeHead(httpStatus, { location: other.url }).end(),
      );
      expect(await post(url)).toMatchObject({ outcome: "http_error", httpStatus });
      expect(other.sockets).toHaveLength(0);
    },
  );

  it("may ask for a pause, which is passed on as it came", async () => {
    const { url } = await httpReceiver(
      (_req, res) => void res.writeHead(429, { "retry-after": "1.5" }).end("slow"),
    );
    expect(await post(url)).toMatchObject({ outcome: "http_error", retryAfter: "1.5", excerpt: "slow" });
  });

  it("that accepts asks for no pause", async () => {
    const { url } = await httpReceiver((_req, res) => void res.writeHead(200, { "retry-after": "60" }).end());
    expect(await post(url)).not.toHaveProperty("retryAfter");
  });

  it("may come after a hint", async () => {
    const { url } = await rawReceiver((socket) => socket.end(`HTTP/1.1 103 Early Hints\r\n\r\n${ok}`));
    expect(await post(url)).toMatchObject({ outcome: "delivered", httpStatus: 200, excerpt: "ok" });
  });

  it("may end with the connection", async () => {
    const { url } = await rawReceiver((socket) => socket.end("HTTP/1.1 200 OK\r\n\r\nok"));
    expect(await post(url)).toMatchObject({ outcome: "delivered", excerpt: "ok" });
  });

  it("may come before the request has been read, and end the connection", async () => {
    const { url } = await rawReceiver((socket, turn) => {
      if (turn === 1) socket.end("HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n");
    });
    const large = Buffer.alloc(256 * KIB);
    expect(await poster().post({ url, headers, body: large })).toMatchObject({
      outcome: "http_error",
      httpStatus: 413,
    });
  });
});

describe("what an answer asks for in webhook-delivery", () => {
  const asked = async (status: number, value: string) => {
    const { url } = await httpReceiver(
      (_req, res) => void res.writeHead(status, { "webhook-delivery": value }).end(),
    );
    return (await post(url)).directive;
  };

  it.each([
    [200, "disable", "disable"],
    [500, "Disable", "disable"],
    [410, "DISABLE", "disable"],
    [500, "abort-message", "abort"],
    [404, "Abort-Message", "abort"],
  ] as const)("with %i, %s is heard", async (status, value, directive) => {
    expect(await asked(status, value)).toBe(directive);
  });

  it("to abort what was delivered means nothing", async () => {
    expect(await asked(200, "abort-message")).toBeUndefined();
  });

  it.each(["abort", "disabled", "enable", "disable, abort-message", "disable;q=1", "toString", ""])(
    "otherwise is nothing: %j",
    async (value) => {
      expect(await asked(500, value)).toBeUndefined();
    },
  );

  it("is nothing where there is no answer, or the header does not stand", async () => {
    const { url } = await rawReceiver((socket) => socket.end("HTTP/1.1 200 OK\r\nwebhook-delivery: disable"));
    expect(await post(url)).toEqual({ outcome: "reset", durationMs: expect.any(Number) });
  });

  it("twice is nothing, as the two may differ", async () => {
    const head = "HTTP/1.1 500 No\r\nwebhook-delivery: disable\r\nwebhook-delivery: disable\r\n";
    const { url } = await rawReceiver((socket) => socket.write(`${head}content-length: 0\r\n\r\n`));
    expect(await post(url)).not.toHaveProperty("directive");
  });
});

describe("the body of an answer", () => {
  it("is counted as far as it was read", async () => {
    const { url } = await httpReceiver((_req, res) => void res.end("x".repeat(20 * KIB)));
    expect(await post(url)).toMatchObject({ responseBytes: 20 * KIB });
  });

  it("is kept as text, 16 KiB of it, without half a character at the end", async () => {
    const { url } = await httpReceiver(
      (_req, res) => void res.writeHead(500).end(`x${"ä".repeat(16 * KIB)}`),
    );
    const { excerpt } = await post(url);
    expect(excerpt).toBe(`x${"ä".repeat(8 * KIB - 1)}`);
  });

  it("is text even where it was none", async () => {
    const { url } = await httpReceiver(
      (_req, res) => void res.end(Buffer.of(0x41, 0xff, 0xed, 0xa0, 0x80, 0x42)),
    );
    const { excerpt = "" } = await post(url);
    expect(excerpt).toMatch(/^A\uFFFD+B$/);
    expect(excerpt.isWellFormed()).toBe(true);
  });

  it("is never decompressed", async () => {
    const { url } = await httpReceiver(
      (_req, res) => void res.writeHead(200, { "content-encoding": "gzip" }).end("this is not gzip"),
    );
    expect(await post(url)).toMatchObject({ outcome: "delivered", excerpt: "this is not gzip" });
  });

  it("of 64 KiB is read, and the connection is used again", async () => {
    const { url, sockets } = await httpReceiver((_req, res) => void res.end(Buffer.alloc(64 * KIB, "x")));
    const { to } = poster();
    expect(await to(url)).toMatchObject({ outcome: "delivered", excerpt: "x".repeat(16 * KIB) });
    await to(url);
    expect(sockets).toHaveLength(1);
  });

  it.each([
    [200, "delivered"],
    [500, "http_error"],
  ])(
    "that is longer is cut off with its connection, and the status decides: %i is %s",
    async (status, outcome) => {
      const { url, sockets } = await httpReceiver((_req, res) => {
        res.writeHead(status);
        drip(res, "", "x".repeat(KIB));
      });
      expect(await post(url)).toMatchObject({ outcome, httpStatus: status, excerpt: "x".repeat(16 * KIB) });
      await closed(sockets[0]);
    },
  );
});

describe("a receiver that takes its time", () => {
  it.each([
    ["to answer at all", { response: 40 }],
    ["to answer, until all the time is over", { total: 40 }],
  ])("%s times out", async (_name, timeouts) => {
    const { url } = await rawReceiver(() => {});
    const outcome = await post(url, { timeouts });
    expect(outcome).toEqual({ outcome: "timeout_headers", durationMs: expect.any(Number) });
  });

  it.each([
    ["longer than", 6000, 100, "http_error"],
    ["shorter than", 50, 6000, "timeout_headers"],
  ])("has as long as its endpoint says, be that %s otherwise", async (_name, timeoutMs, total, outcome) => {
    const { url } = await rawReceiver((socket) => {
      const late = setTimeout(() => socket.write("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"), 200);
      socket.once("close", () => clearTimeout(late));
    });
    const { post: send } = poster({ timeouts: { total } });
    expect(await send({ url, headers, body, timeoutMs })).toMatchObject({ outcome });
  });

  it("over its headers times out, though they keep coming", async () => {
    const { url } = await rawReceiver((socket) => drip(socket, "HTTP/1.1 200 OK\r\nx: ", "y"));
    expect(await post(url, { timeouts: { response: 40 } })).toMatchObject({ outcome: "timeout_headers" });
  });

  it.each([
    ["stops", (socket: Writable) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok")],
    ["keeps coming", (socket: Writable) => drip(socket, "HTTP/1.1 200 OK\r\n\r\nok", "")],
  ])(
    "over the body of an acceptance times out when it %s: it has not finished accepting",
    async (_name, answer) => {
      const { url } = await rawReceiver(answer);
      expect(await post(url, { timeouts: { total: 500 } })).toEqual({
        outcome: "timeout_body",
        httpStatus: 200,
        responseBytes: 2,
        excerpt: "ok",
        durationMs: expect.any(Number),
      });
    },
  );

  it("over the body of an error has said that it is one", async () => {
    const answer = "HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 9\r\n\r\nwait";
    const { url } = await rawReceiver((socket) => socket.write(answer));
    expect(await post(url, { timeouts: { total: 500 } })).toMatchObject({
      outcome: "http_error",
      httpStatus: 503,
      retryAfter: "7",
      excerpt: "wait",
    });
  });
});

type Writable = { write(text: string): unknown; destroyed: boolean };

/** Goes on for as long as somebody listens, never with much. */
function drip(socket: Writable, start: string, more: string): void {
  socket.write(start);
  const next = () => {
    if (socket.destroyed) return;
    socket.write(more);
    setImmediate(next);
  };
  next();
}

describe("a receiver that breaks off", () => {
  it.each([
    ["before it answers", (socket) => socket.destroy()],
    ["with a reset", (socket) => socket.resetAndDestroy()],
    ["within its headers", (socket) => socket.end("HTTP/1.1 200 OK\r\nx: ")],
  ] satisfies [string, (socket: Socket) => void][])(
    "%s has reset, and is called once",
    async (_name, answer) => {
      const { url, sockets } = await rawReceiver(answer);
      expect(await post(url)).toEqual({ outcome: "reset", durationMs: expect.any(Number) });
      expect(sockets).toHaveLength(1);
    },
  );

  it("within its body has reset, whatever its status promised", async () => {
    const { url } = await rawReceiver((socket) =>
      socket.end("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"),
    );
    expect(await post(url)).toMatchObject({ outcome: "reset", httpStatus: 200, excerpt: "half" });
  });
});

describe("a receiver that does not speak HTTP", () => {
  it("is unknown to us", async () => {
    const { url } = await rawReceiver((socket) => socket.end("SSH-2.0-OpenSSH_9.9\r\n"));
    expect(await post(url)).toMatchObject({ outcome: "unknown" });
  });

  it("or wants another protocol, is cut off", async () => {
    const { url, sockets } = await rawReceiver((socket) =>
      socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"),
    );
    expect(await post(url)).toMatchObject({ outcome: "unknown" });
    await closed(sockets[0]);
  });

  it("or sends headers without end, is too large", async () => {
    const { url } = await rawReceiver((socket) =>
      socket.write(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(20 * KIB)}`),
    );
    expect(await post(url)).toMatchObject({ outcome: "too_large" });
  });

  it("or goes on talking after its answer, has answered", async () => {
    const { url } = await rawReceiver((socket) => socket.write(`${ok}and another thing`));
    const { to } = poster();
    expect(await to(url)).toMatchObject({ outcome: "delivered", excerpt: "ok" });
    expect(await to(url)).toMatchObject({ outcome: "delivered", excerpt: "ok" });
  });
});

describe("a target that cannot be reached", () => {
  it("has refused", async () => {
    const server = createServer();
    const { url } = await listening(server);
    server.close();
    await once(server, "close");
    expect(await post(url)).toEqual({ outcome: "refused", durationMs: expect.any(Number) });
  });

  it.each(["ENOTFOUND", "EAI_AGAIN"])("because its name has no address (%s)", async (code) => {
    const resolve = async () => {
      throw Object.assign(new Error("no such name"), { code });
    };
    expect(await post("https://receiver.invalid/", { resolve })).toMatchObject({ outcome: "dns" });
  });

  it("because its name is not resolved in time", async () => {
    const resolve = () => new Promise<never>(() => {});
    const timeouts = { lookup: 30 };
    expect(await post("https://receiver.example/", { resolve, timeouts })).toMatchObject({ outcome: "dns" });
  });
});
