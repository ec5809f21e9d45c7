import { describe, expect, it } from "vitest";
import { z } from "zod";
import { answer, route } from "../../services/api/route.ts";
import { serveApi } from "../support/serve-api.ts";

const echo = route({
  method: "post",
  path: "/echo",
  operationId: "echo",
  summary: "Says it back",
  permission: "public",
  request: { body: z.unknown() },
  responses: { 200: z.unknown() },
  problems: [],
  bodyBytesMax: 100,
  handle: ({ body }) => answer(200, body),
});

const head = (length: number | "chunked", more = "") =>
  `POST /echo HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n${more}${
    length === "chunked" ? "Transfer-Encoding: chunked" : `Content-Length: ${length}`
  }\r\n\r\n`;
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
const small = `${head(7)}"small"`;

describe("a request's body", () => {
  it.each([
    "application/json",
    "Application/JSON; charset=UTF-8",
    'application/json;charset="utf-8"',
    "application/json; profile=x",
  ])("may be %s", async (type) => {
    const { call } = await serveApi([echo]);
    expect((await call("POST", "/echo", "1", { "content-type": type })).status).toBe(200);
  });

  it.each([
    { "content-type": "text/plain" },
    { "content-type": "application/json; charset=latin1" },
    { "content-type": "application/jsonx" },
    { "content-type": "" },
    { "content-encoding": "gzip" },
  ])("may not be anything else: %j", async (headers) => {
    const { call } = await serveApi([echo]);
    expect(await call("POST", "/echo", "1", headers)).toMatchObject({
      status: 415,
      body: { code: "unsupported_media_type" },
    });
  });

  it("must be there", async () => {
    const { call, raw } = await serveApi([echo]);
    expect(await call("POST", "/echo", "")).toMatchObject({ status: 400, body: { code: "malformed_json" } });
    const connection = raw();
    connection.say("POST /echo HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n\r\n");
    expect(await connection.hears("malformed_json")).toContain("400 Bad Request");
  });

  it("may come in pieces, cut anywhere", async () => {
    const { raw } = await serveApi([echo]);
    const connection = raw();
    const bytes = Buffer.from('{"a":"é"}');
    connection.say(head("chunked"));
    for (const byte of bytes) {
      connection.say("1\r\n");
      connection.say(Buffer.from([byte]));
      connection.say("\r\n");
    }
    connection.say("0\r\n\r\n");
    expect(Buffer.from(await connection.hears("}"), "latin1").toString()).toContain('{"a":"é"}');
  });

  it("may be as large as the limit, and no byte larger", async () => {
    const { call } = await serveApi([echo]);
    expect((await call("POST", "/echo", `"${"x".repeat(98)}"`)).status).toBe(200);
    expect(await call("POST", "/echo", `"${"x".repeat(99)}"`)).toMatchObject({
      status: 413,
      body: { code: "body_too_large", bytesMax: 100 },
    });
  });

  it("is refused for its length before it is sent", async () => {
    const { raw } = await serveApi([echo]);
    const connection = raw();
    connection.say(head(5000));
    expect(await connection.hears("body_too_large")).toContain("413 Payload Too Large");
  });
});

describe("a connection whose body was refused", () => {
  it("is used again, once a body of a known length has passed", async () => {
    const { raw } = await serveApi([echo]);
    const connection = raw();
    connection.say(head(5000));
    await connection.hears("body_too_large");
    connection.say("x".repeat(5000) + small);
    const heard = await connection.hears('"small"');
    expect(heard).not.toContain("Connection: close");
    expect(heard.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 413", "HTTP/1.1 200"]);
  });

  it("is used again after any other refusal", async () => {
    const { raw } = await serveApi([echo]);
    const connection = raw();
    connection.say(
      `${head(3).replace("/json", "/xml")}<a>${head(9, "Content-Encoding: gzip\r\n")}<xxxxxxx>${small}`,
    );
    const heard = await connection.hears('"small"');
    expect(heard.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 415", "HTTP/1.1 415", "HTTP/1.1 200"]);
  });

  it("is closed after the whole answer when nobody knows how long the body is", async () => {
    const { raw } = await serveApi([echo]);
    const connection = raw();
    connection.say(head("chunked") + chunk("x".repeat(101)));
    const heard = await connection.hears('"requestId"');
    expect(heard).toContain("413 Payload Too Large");
    expect(heard).toContain("Connection: close");
    connection.say(`${chunk("more")}0\r\n\r\n${small}`);
    expect(await connection.closed()).not.toContain('"small"');
  });

  it("is closed in the end under a body that does not stop", async () => {
    const { raw } = await serveApi([echo]);
    const connection = raw();
    const part = chunk("x".repeat(0x10000));
    connection.say(head("chunked") + part);
    expect(await connection.hears('"requestId"')).toContain("413 Payload Too Large");
    const pump = () => {
      while (!connection.socket.destroyed && connection.say(part));
    };
    connection.socket.on("drain", pump);
    pump();
    expect(await connection.closed()).toContain("body_too_large");
  });

  it("is not waited for when the client goes away in the middle", async () => {
    const seen = Promise.withResolvers<number>();
    const { raw } = await serveApi([echo], { onAnswered: ({ status }) => seen.resolve(status) });
    const connection = raw();
    connection.socket.write(`${head(50)}"half`, () => connection.socket.destroy());
    expect(await seen.promise).toBe(499);
  });
});
