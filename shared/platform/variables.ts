import { BlockList, isIP } from "node:net";
import { resolve } from "node:path";
import { z } from "zod";

/** A variable of the environment. `must` completes "RUNLEDGER_X must be …" and is all that is said of a value
 *  that will not do; `parse` gives undefined for one. */
export const variable = <Value>(must: string, parse: (text: string) => Value | undefined) =>
  z.string().transform((text, context): Value => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue({ code: "custom", message: `must be ${must}` });
    return z.NEVER;
  });

export const integer = (min: number, max: number = Number.MAX_SAFE_INTEGER, why = "") =>
  variable(
    max === Number.MAX_SAFE_INTEGER ? `an integer from ${min}` : `an integer from ${min} to ${max}${why}`,
    (text) => {
      const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
      return value >= min && value <= max ? value : undefined;
    },
  );

export const oneOf = <Word extends string>(words: readonly Word[]) =>
  variable(words.length === 1 ? `${words[0]}` : `one of ${words.join(", ")}`, (text) =>
    words.find((word) => word === text),
  );

const HOST_NAME = /^(?=.{1,253}$)(?![\d.]+$)[a-z\d]([a-z\d-]*[a-z\d])?(\.[a-z\d]([a-z\d-]*[a-z\d])?)*$/i;

export const host = variable("an address or a host name, without a port", (text) =>
  isIP(text) !== 0 || HOST_NAME.test(text) ? text : undefined,
);

export const folder = variable("the path of a folder", (text) =>
  text === "" || text.includes("\0") ? undefined : resolve(text),
);

export const apiKey = variable(
  "rl_<workspace: 1-32 of a-z 0-9 ->_<key id: 10 of a-z 0-9>_<secret: 43 of A-Z a-z 0-9>",
  (text) => (/^rl_[a-z0-9-]{1,32}_[a-z0-9]{10}_[A-Za-z0-9]{43}$/.test(text) ? text : undefined),
);

export const key32 = variable("32 bytes in base64, or as 64 hex digits", (text) => {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, "hex");
  const bytes = /^[\w+/-]{43}=?$/.test(text) ? Buffer.from(text, "base64") : undefined;
  return bytes?.byteLength === 32 ? bytes : undefined;
});

/** Items between commas; empty for none. */
const list = (must: string, isItem: (item: string) => boolean) =>
  variable(`${must}, with commas between them, or empty for none`, (text): readonly string[] | undefined => {
    const items = text.trim() === "" ? [] : text.split(",").map((item) => item.trim());
    return items.every(isItem) ? items : undefined;
  });

export const cidrs = list("networks as CIDRs, like 10.0.0.0/8", (item) => {
  const [, address = "", prefix = ""] = /^([^/]+)\/(\d{1,3})$/.exec(item) ?? [];
  const family = isIP(address);
  return family !== 0 && Number(prefix) <= (family === 4 ? 32 : 128) && !address.includes("%");
});

export const boolean = variable("true or false", (text) =>
  text === "true" || text === "false" ? text === "true" : undefined,
);

/** Texts of a form; `must` says which. */
export const matching = (form: RegExp, must: string) =>
  variable(must, (text) => (form.test(text) ? text : undefined));

/** The address of a server, with one of these schemes. It may hold a password: it is never shown. */
export const address = (...schemes: readonly string[]) =>
  variable(`an address that begins with ${schemes.map((scheme) => `${scheme}://`).join(" or ")}`, (text) =>
    schemes.some((scheme) => text.startsWith(`${scheme}://`) && text.length > scheme.length + 3)
      ? text
      : undefined,
  );

/** A proxy that is asked by CONNECT; `authorization` is what it is shown. A name and a password that a URL
 *  could not hold are percent-encoded. */
export const proxy = variable("http://host:port, or http://user:password@host:port", (text) => {
  const [, user, password = "", name = "", port = ""] =
    /^http:\/\/(?:([^:@/\s]+)(?::([^@/\s]*))?@)?(\[[\da-f:.]+\]|[^[\]:@/?#\s]+):(\d{1,5})\/?$/i.exec(text) ??
    [];
  const host = name.replace(/^\[(.*)\]$/, "$1");
  const isHost = isIP(host) !== 0 || HOST_NAME.test(host);
  const credentials = user === undefined ? "" : decoded(`${user}:${password}`);
  if (!isHost || Number(port) < 1 || Number(port) > 65_535 || credentials === undefined) return undefined;
  const authorization = `Basic ${Buffer.from(credentials).toString("base64")}`;
  return { host, port: Number(port), ...(credentials === "" ? {} : { authorization }) };
});

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

export const brokers = list("hosts with their ports, like kafka-1:9092", (item) => {
  const [, name = "", port = ""] = /^(?:\[(?=.*:))?([^[\]]+?)\]?:(\d{1,5})$/.exec(item) ?? [];
  return (isIP(name) !== 0 || HOST_NAME.test(name)) && Number(port) > 0 && Number(port) < 65_536;
});

export const origins = list("origins, like https://app.example.com", (item) => {
  const url = URL.parse(item);
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === item;
});

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8);
loopback.addAddress("::1", "ipv6");

/** Whether who listens there is reached from this machine alone. */
export const isLoopback = (name: string): boolean => {
  const family = isIP(name);
  return family === 0
    ? name.toLowerCase() === "localhost"
    : loopback.check(name, family === 4 ? "ipv4" : "ipv6");
};
