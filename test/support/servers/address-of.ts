import { inject } from "vitest";

/** The address of a server that all tests share; it is started when it is first asked for. */
export async function addressOf(name: "eventstoredb" | "kafka" | "postgres"): Promise<string> {
  const answer = await fetch(`${inject("servers")}/${name}`);
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return text;
}
