import { createServer as createTlsServer } from "node:https";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Outcome } from "../../services/dispatcher/outcome.ts";
import { openPoster, type PostRequest } from "../../services/dispatcher/post.ts";
import type { Progress } from "../../services/dispatcher/progress.ts";
import { traced } from "../../services/dispatcher/traced.ts";
import type { Attributes, NewSpan, Tracing } from "../../shared/platform/tracing.ts";
import { openTracedRequests } from "../../shared/platform/tracing.ts";
import { parseAllowList } from "../../shared/webhooks/targets.ts";
import { certificateFor } from "../support/certificate.ts";
import { openConnectProxy } from "../support/connect-proxy.ts";
import { httpReceiver, listening } from "../support/listening.ts";

const about = {
  delivery: "delivery_1",
  endpoint: "endpoint_1",
  run: "run_1",
  type: "run.completed",
  attempt: 3,
  workspace: "default",
  requestId: "req_1",
};

/** What was told of attempts. */
function telling(post: (request: PostRequest) => Promise<Outcome>) {
  const begun: NewSpan[] = [];
  const ended: { attributes: Attributes; errorType: string | undefined }[] = [];
  const tracing: Tracing = {
    begin(span) {
      begun.push(span);
      return {
        traceparent: "ours",
        event: () => {},
        end: (attributes, errorType) => void ended.push({ attributes, errorType }),
      };
    },
    close: async () => {},
  };
  const requests = openTracedRequests();
  const send = (more: Partial<PostRequest> = {}) =>
    traced(
      post,
      tracing,
      requests,
    )(
      { url: "https://a.example/secret?in=it", headers: {}, body: Buffer.from("{}"), about, ...more },
      new AbortController().signal,
    );
  return { begun, ended, requests, send };
}

describe("an attempt in a trace", () => {
  it("is told of without what of its URL may be a secret, and knows which it is", async () => {
    const { begun, send } = telling(async () => ({ outcome: "delivered", httpStatus: 200, durationMs: 1 }));
    await send();
    expect(begun).toEqual([
      {
        name: "POST",
        kind: "client",
        parent: undefined,
        attributes: {
          "http.request.method": "POST",
          "server.address": "a.example",
          "server.port": 443,
          "url.scheme": "https",
          "runledger.delivery.id": "delivery_1",
          "runledger.endpoint.id": "endpoint_1",
          "runledger.run.id": "run_1",
          "runledger.event.type": "run.completed",
          "runledger.attempt": 3,
          "http.request.resend_count": 2,
        },
      },
    ]);
  });

  it("is a part of the request's trace, as long as that is known", async () => {
    const { begun, send, requests } = telling(async () => ({ outcome: "delivered", durationMs: 1 }));
    await send();
    requests.note("default", "req_1", { traceparent: "its", event: () => {}, end: () => {} });
    await send();
    expect(begun.map(({ parent }) => parent)).toEqual([undefined, "its"]);
  });

  it("hands its own on, whatever header the endpoint has of that name", async () => {
    const sent: PostRequest[] = [];
    const { send } = telling(async (request) => {
      sent.push(request);
      return { outcome: "delivered", durationMs: 1 };
    });
    await send({ headers: { traceparent: "theirs", other: "kept" } });
    expect(sent[0]?.headers).toEqual({ traceparent: "ours", other: "kept" });
  });

  it.each([
    [{ outcome: "delivered", httpStatus: 204 }, undefined],
    [{ outcome: "http_error", httpStatus: 503 }, "503"],
    [{ outcome: "timeout_headers" }, "timeout_headers"],
    [{ outcome: "timeout_body", httpStatus: 200 }, "timeout_body"],
    [{ outcome: "unknown", proxyFailure: "silent" }, "proxy_silent"],
  ] as const)("that ends with %j has the error %s", async (outcome, errorType) => {
    const { ended, send } = telling(async () => ({ ...outcome, durationMs: 1 }));
    await send();
    expect(ended.map((one) => one.errorType)).toEqual([errorType]);
    expect(ended[0]?.attributes["runledger.outcome"]).toBe(outcome.outcome);
  });

  it("that cannot be made at all ends too", async () => {
    const { ended, send } = telling(() => Promise.reject(new Error("no")));
    await expect(send()).rejects.toThrow("no");
    expect(ended).toEqual([{ attributes: {}, errorType: "fault" }]);
  });
});

describe("what is told of a post", () => {
  async function receivers() {
    const day = 86_400_000;
    const { key, cert } = certificateFor(
      "receiver.example",
      new Date(Date.now() - day),
      new Date(Date.now() + day),
    );
    const before = getCACertificates("default");
    setDefaultCACertificates([...before, cert]);
    onTestFinished(() => setDefaultCACertificates(before));
    const secure = await listening(createTlsServer({ key, cert }, (_req, res) => void res.end()));
    const plain = await httpReceiver((_req, res) => void res.end());
    return [
      [`https://receiver.example:${secure.port}/`, true],
      [`http://receiver.example:${plain.port}/`, false],
    ] as const;
  }

  it.each([false, true])(
    "is each step as it is done, and none of a kept connection (proxy: %s)",
    async (has) => {
      const proxy = await openConnectProxy();
      const poster = openPoster({
        allow: parseAllowList(["127.0.0.1"]),
        socketsMax: 8,
        socketsPerOriginMax: 8,
        resolve: async () => [{ address: "127.0.0.1", family: 4 }],
        ...(has ? { proxy: { host: "127.0.0.1", port: proxy.port, now: Date.now, onFailed: () => {} } } : {}),
      });
      onTestFinished(() => poster.close());
      for (const [url, isSecure] of await receivers()) {
        const told = async () => {
          const phases: Progress[] = [];
          const onPhase = (phase: Progress) => void phases.push(phase);
          await poster.post({ url, headers: {}, body: Buffer.from("{}"), onPhase });
          return phases;
        };
        expect(await told()).toEqual(["dns", "connect", ...(isSecure ? ["tls"] : []), "headers"]);
        expect(await told()).toEqual(["headers"]);
      }
    },
  );

  it("ends where the way ends", async () => {
    const poster = openPoster({
      allow: parseAllowList(["127.0.0.1"]),
      socketsMax: 8,
      socketsPerOriginMax: 8,
    });
    onTestFinished(() => poster.close());
    const phases: Progress[] = [];
    const request = {
      headers: {},
      body: Buffer.from("{}"),
      onPhase: (one: Progress) => void phases.push(one),
    };
    await poster.post({ url: "http://127.0.0.1:1/", ...request });
    expect(phases).toEqual([]);
  });
});
