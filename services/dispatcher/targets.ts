import type { RequestOptions } from "node:http";
import { urlToHttpOptions } from "node:url";
import { type AllowList, checkTarget } from "../../shared/webhooks/targets.ts";

const HEADER_BYTES_MAX = 16 * 1024;
/** URLs that are remembered. */
const TARGETS_MAX = 10_000;

/** Where a request goes; `name` is the same for all that go to the same host and port. */
export type Target = { isSecure: boolean; name: string; host: string; to: RequestOptions };

export const targetName = (host: string, port: number): string => `${host.toLowerCase()}:${port}`;

/** What a URL says is worked out once: it takes longer than to send to it. What its name stands for is
 *  judged at each connection. */
export function openTargets(allow: AllowList) {
  const targets = new Map<string, Target | undefined>();
  return (url: string): Target | undefined => {
    if (targets.has(url)) return targets.get(url);
    const checked = checkTarget(url, allow);
    const target = checked.ok ? sendable(checked.url) : undefined;
    if (targets.size >= TARGETS_MAX) targets.clear();
    targets.set(url, target);
    return target;
  };
}

function sendable(url: URL): Target {
  const { hostname, port, path } = urlToHttpOptions(url);
  const to = {
    method: "POST",
    maxHeaderSize: HEADER_BYTES_MAX,
    hostname: hostname ?? "",
    path: path ?? "/",
    ...(port ? { port } : {}),
  };
  const isSecure = url.protocol === "https:";
  const name = targetName(to.hostname, Number(port || (isSecure ? 443 : 80)));
  return { isSecure, name, host: url.host, to };
}
