import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, posix } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository, as a path that ends with a slash. */
export const root = fileURLToPath(new URL("../../", import.meta.url));

/** How a file names another: `type` leaves no trace at run time, `url` is the address of a worker or a
 *  process. */
export type Import = {
  kind: "import" | "type" | "dynamic" | "url";
  /** As it is written. */
  specifier: string;
  /** Path from the root, where it is a file of this repository. */
  file?: string;
};

/** A file of ours. Paths are from the root, with slashes; `code` is the text without its comments. */
export type Source = { path: string; text: string; code: string; lines: string[]; imports: Import[] };

/** Every TypeScript file below these folders, in the order of their paths. */
export function sourcesIn(...folders: string[]): Source[] {
  return folders
    .filter((folder) => existsSync(root + folder))
    .flatMap((folder) =>
      readdirSync(root + folder, { recursive: true, encoding: "utf8" }).map((name) =>
        posix.join(folder, name),
      ),
    )
    .filter((path) => path.endsWith(".ts") && !/(^|\/)(node_modules|\.[^/]+)\//.test(path))
    .sort()
    .map((path) => sourceOf(path, readFileSync(root + path, "utf8")));
}

export function sourceOf(path: string, text: string): Source {
  const code = text.replace(/(^|[\s({,])\/\*[\s\S]*?\*\//g, "$1").replace(/(^|\s)\/\/.*$/gm, "$1");
  return { path, text, code, lines: text.replace(/\n$/, "").split("\n"), imports: importsOf(path, code) };
}

// The formatter puts every import and re-export at the start of a line, in double quotes.
const named =
  /^(?:import|export)(\s+type)?\s+(?:[\w$]+\s*,?\s*)?(?:\*(?:\s+as\s+\w+)?|\{[^}]*\})?\s*from\s+"([^"]+)"/gm;
const bare = /^import\s+"([^"]+)"/gm;
const dynamic = /\bimport\(\s*("([^"]+)"|[^)"])/g;
const url = /\bnew URL\(\s*"(\.[^"]+\.[cm]?[jt]s)"\s*,\s*import\.meta\.url\s*,?\s*\)/g;

/** The imports of a text, by its form alone. A dynamic one whose target is computed has the specifier `?`. */
function importsOf(path: string, code: string): Import[] {
  const to = (kind: Import["kind"], specifier: string): Import =>
    specifier.startsWith(".")
      ? { kind, specifier, file: posix.join(dirname(path), specifier) }
      : { kind, specifier };
  return [
    ...[...code.matchAll(named)].map((found) => to(found[1] ? "type" : "import", found[2] ?? "?")),
    ...[...code.matchAll(bare)].map((found) => to("import", found[1] ?? "?")),
    ...[...code.matchAll(dynamic)].map((found) => to("dynamic", found[2] ?? "?")),
    ...[...code.matchAll(url)].map((found) => to("url", found[1] ?? "?")),
  ];
}

/** The files of each circle of imports, the first one named again at its end. Addresses do not count: a
 *  worker may import the words that it and its owner speak. */
export function cyclesIn(sources: readonly Source[]): string[] {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]) => {
    if (trail.includes(path)) {
      cycles.push([...trail.slice(trail.indexOf(path)), path].join(" -> "));
      return;
    }
    if (done.has(path)) return;
    for (const { kind, file } of byPath.get(path)?.imports ?? [])
      if (kind !== "url" && file !== undefined) visit(file, [...trail, path]);
    done.add(path);
  };
  for (const { path } of sources) visit(path, []);
  return cycles;
}
