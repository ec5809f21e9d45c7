import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { sign } from "../../shared/webhooks/signature.ts";
import type { EndpointMade } from "../support/client.ts";
import { openTestServer } from "../support/open-server.ts";
import { blocksIn } from "../support/operator.ts";
import { openReceiver } from "../support/receiver.ts";
import { itNeeds, program } from "../support/skip.ts";
import { root, sourcesIn } from "../support/sources.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { bodyOf, otherSecret, secret } from "../support/webhook-request.ts";

const doc = readFileSync(`${root}docs/receiving.md`, "utf8");
const blocks = blocksIn(doc);
const blockOf = (language: string) => blocks.find((block) => block.language === language)?.text ?? "";
const commands = blocks.filter(({ language }) => language === "sh").map(({ text }) => text);

type Case = { name: string; secret: string; headers: Record<string, string>; body: string; ok: boolean };

/** A request that is signed now, and what is done to it. */
function signed(
  name: string,
  ok: boolean,
  change: Partial<Case> & { awaySeconds?: number; by?: string[] } = {},
): Case {
  const { awaySeconds = 0, by = [secret], body = bodyOf({ run: "Größe 💥" }), ...rest } = change;
  const seconds = Math.floor(Date.now() / 1000) + awaySeconds;
  const headers = {
    "webhook-id": "delivery_1",
    "webhook-timestamp": `${seconds}`,
    "webhook-signature": sign(by, "delivery_1", seconds, body),
  };
  return { name, ok, secret, body, ...rest, headers: { ...headers, ...rest.headers } };
}

/** A webhook as a real server sends it. */
async function real(): Promise<Case> {
  const [server, receiver] = [await openTestServer(), await openReceiver()];
  const made = await server.post<EndpointMade>("/v1/webhook-endpoints", { url: receiver.url });
  const { body } = await server.create({});
  await server.record(body.run.id, ["run.started", { type: "run.completed", data: { output: "💥" } }]);
  const { headers, raw } = await receiver.next();
  return {
    name: "a real one",
    ok: true,
    secret: made.body.secret ?? "",
    headers,
    body: raw.toString("utf8"),
  };
}

async function cases(): Promise<Case[]> {
  const good = signed("ours", true);
  const entry = good.headers["webhook-signature"] ?? "";
  const refused = (name: string, change: Partial<Case>): Case => ({ ...good, name, ok: false, ...change });
  const having = (headers: Record<string, string>) => ({ headers: { ...good.headers, ...headers } });
  const saying = (signature: string) => having({ "webhook-signature": signature });
  return [
    await real(),
    good,
    signed("an empty object", true, { body: "{}" }),
    signed("two secrets, the other first", true, { by: [otherSecret, secret] }),
    signed("two secrets, ours first", true, { by: [secret, otherSecret] }),
    { ...good, name: "beside other versions", ...saying(`v1a,AAAA ${entry} v2,BBBB`) },
    signed("a little early", true, { awaySeconds: 250 }),
    signed("a little late", true, { awaySeconds: -250 }),
    signed("too old", false, { awaySeconds: -310 }),
    signed("too new", false, { awaySeconds: 310 }),
    signed("by somebody else", false, { by: [otherSecret] }),
    refused("changed", { body: `${good.body} ` }),
    refused("another id", having({ "webhook-id": "delivery_2" })),
    refused("another time", having({ "webhook-timestamp": `${Math.floor(Date.now() / 1000) - 7}` })),
    refused("without a time", having({ "webhook-timestamp": "" })),
    refused("no time", having({ "webhook-timestamp": "now" })),
    refused("without a signature", saying("")),
    refused("of no version", saying(entry.replace("v1,", ""))),
    refused("of another version", saying(entry.replace("v1,", "v2,"))),
    refused("cut", saying(entry.slice(0, 11))),
    refused("a version alone", saying("v1,")),
    refused("another secret", { secret: otherSecret }),
    refused("no secret at all", { secret: "whsec_" }),
    refused("no base64", { secret: "whsec_?" }),
    refused("nothing", { headers: {} }),
  ];
}

/** What a program said of each case. */
function judged(command: string, args: readonly string[], cwd: string, all: readonly Case[]): unknown {
  const input = JSON.stringify(all);
  const ran = spawnSync(command, args, {
    cwd,
    input,
    encoding: "utf8",
    env: { ...process.env, GOTOOLCHAIN: "local" },
  });
  if (ran.status !== 0) throw new Error(`${command}: ${ran.error ?? ran.stderr}`);
  return JSON.parse(ran.stdout);
}
const expected = (all: readonly Case[]) => all.map(({ name, ok }) => ({ name, ok }));
/** Lines of code, between those of the imports and the end. */
const linesFrom = (text: string, start: RegExp): number =>
  text
    .slice(text.search(start))
    .split("\n")
    .filter((line) => line.trim() !== "").length;

const pythonMain = `
import sys
from verify import verify

def accepts(case):
    try:
        verify(case["secret"], case["headers"], case["body"].encode())
        return True
    except ValueError:
        return False

print(json.dumps([{"name": case["name"], "ok": accepts(case)} for case in json.load(sys.stdin)]))
`;
const goMain = `package main

import (
	"encoding/json"
	"net/http"
	"os"

	"receiving/webhooks"
)

type Case struct {
	Name    string            \`json:"name"\`
	Secret  string            \`json:"secret"\`
	Headers map[string]string \`json:"headers"\`
	Body    string            \`json:"body"\`
}
type Said struct {
	Name string \`json:"name"\`
	Ok   bool   \`json:"ok"\`
}

func main() {
	var cases []Case
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	said := []Said{}
	for _, one := range cases {
		header := http.Header{}
		for name, value := range one.Headers {
			header.Set(name, value)
		}
		said = append(said, Said{one.Name, webhooks.Verify(one.Secret, header, []byte(one.Body)) == nil})
	}
	json.NewEncoder(os.Stdout).Encode(said)
}
`;

describe("docs/receiving.md", () => {
  it("shows examples as they are", () => {
    const shown = [...doc.matchAll(/^<!-- (examples\/[\w-]+\.ts) -->\n```ts\n([\s\S]*?)^```$/gm)];
    expect(shown.length).toBeGreaterThan(0);
    for (const [, file = "", text] of shown) expect(text).toBe(readFileSync(root + file, "utf8"));
  });

  it("leads to files that are there, and to every example", () => {
    const links = [...doc.matchAll(/\]\((\.\.\/[^)#]+)\)/g)].map(([, path = ""]) => path.slice("../".length));
    const shown = [...doc.matchAll(/<!-- (examples\/\S+) -->/g)].map(([, path = ""]) => path);
    const all = sourcesIn("examples").map(({ path }) => path);
    expect([...new Set([...links, ...shown])].sort()).toEqual(all);
  });

  it("names every reason there is for an answer", () => {
    const named = new Set([...doc.matchAll(/`([a-z]+_[a-z_]+|closing)`/g)].map(([, name]) => name));
    const source = ["receiver", "receiver-request", "signature"]
      .map((name) => readFileSync(`${root}shared/webhooks/${name}.ts`, "utf8"))
      .join("\n");
    const reasons = [...source.matchAll(/(?:refused|failed)\((?:[^"()]*), "([a-z_]+)"|reason: "([a-z_]+)"/g)];
    const all = reasons.map(([, one, other]) => one ?? other);
    expect(new Set(all).size).toBeGreaterThan(10);
    expect(all.filter((reason) => !named.has(reason))).toEqual([]);
  });

  it("has a kit that works when it is copied as it says", () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "app/webhooks"), { recursive: true });
    symlinkSync(root, join(folder, "runledger"));
    const copy = commands.find((text) => text.startsWith("cp ")) ?? "";
    expect(spawnSync("bash", ["-e"], { cwd: join(folder, "app"), input: copy }).status).toBe(0);
    expect(importing("./webhooks/receiver.ts", join(folder, "app"))).toBe("function function function\n");
  });

  it("has a kit that is found by the package's name where it is linked", () => {
    expect(commands).toContain("npm install ../runledger");
    const folder = temporaryFolder();
    mkdirSync(join(folder, "node_modules"));
    // What npm makes of a folder that is installed.
    symlinkSync(root, join(folder, "node_modules/runledger"));
    expect(importing("runledger/receiver", folder)).toBe("function function function\n");
  });

  it("has verifications of fifteen lines", () => {
    expect(linesFrom(blockOf("python"), /^import/m)).toBeLessThanOrEqual(15);
    expect(linesFrom(blockOf("go"), /^func/m)).toBeLessThanOrEqual(15);
  });

  itNeeds(program("python3"))("verifies in Python what is signed, and nothing else", async () => {
    const [folder, all] = [temporaryFolder(), await cases()];
    writeFileSync(join(folder, "verify.py"), blockOf("python"));
    writeFileSync(join(folder, "main.py"), `import json\n${pythonMain}`);
    expect(judged("python3", ["main.py"], folder, all)).toEqual(expected(all));
  });

  itNeeds(program("go"))(
    "verifies in Go what is signed, and nothing else",
    async () => {
      const folder = temporaryFolder();
      mkdirSync(join(folder, "webhooks"));
      writeFileSync(join(folder, "go.mod"), "module receiving\n\ngo 1.21\n");
      writeFileSync(join(folder, "webhooks/verify.go"), `${blockOf("go")}\n`);
      writeFileSync(join(folder, "main.go"), goMain);
      // Compiling takes its time where nothing of Go's own was compiled before.
      const built = spawnSync("go", ["build", "-o", "receiving", "."], {
        cwd: folder,
        encoding: "utf8",
        env: { ...process.env, GOTOOLCHAIN: "local", GOFLAGS: "" },
      });
      expect(built.stderr).toBe("");
      const all = await cases();
      expect(judged(join(folder, "receiving"), [], folder, all)).toEqual(expected(all));
    },
    180_000,
  );
});

/** What a consumer's program finds under this name. */
function importing(name: string, cwd: string): string {
  const found = "typeof openReceiver, typeof openReceiverMemory, typeof stateFromLedger";
  const names = "openReceiver, openReceiverMemory, stateFromLedger";
  const program = `import { ${names} } from "${name}"; console.log(${found});`;
  writeFileSync(join(cwd, "app.mjs"), program);
  const { stdout, stderr } = spawnSync(process.execPath, ["app.mjs"], { cwd, encoding: "utf8" });
  expect(stderr).toBe("");
  return stdout;
}
