import type { Parts } from "./parts.ts";

type Deps = Pick<Parts, "does" | "config" | "bus" | "log" | "onFatal">;

/** What a process does with Kafka; undefined where none is configured. */
export async function openKafkaParts(
  _deps: Deps,
): Promise<
  { wake(): void; start(parts: Parts & { followers: unknown }): void; close(): Promise<void> } | undefined
> {
  return undefined;
}
