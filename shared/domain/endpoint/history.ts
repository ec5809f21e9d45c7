import type { RecordedEvent } from "../event.ts";
import { type Endpoint, evolve, unknownEndpoint } from "./endpoint.ts";
import type { EndpointEvent, Match } from "./events.ts";

/** An endpoint as it was from one position to its next change. */
export type EndpointVersion = Endpoint & {
  stream: string;
  workspace: string;
  /** The event that made it so. */
  position: bigint;
  revision: number;
  createdAt: string;
  updatedAt: string;
  /** Absent when it was erased. */
  url?: string | undefined;
  description?: string | undefined;
  /** What it hears of beyond its policy's filter; absent too when it was erased. */
  match?: Match | undefined;
};

/** Every endpoint at every position, in memory: there are few, and what is owed to them depends on what
 *  they were. */
export type EndpointHistory = {
  /** Takes the next endpoint event; one it has seen, or one of another kind, changes nothing. */
  take(event: RecordedEvent): void;
  /** Those of a workspace that existed at a position: created by then and not deleted. */
  asOf(workspace: string, position: bigint): readonly EndpointVersion[];
  /** One endpoint at a position, deleted or not; undefined before its creation. */
  at(stream: string, position: bigint): EndpointVersion | undefined;
  /** One endpoint as it was after its event of this revision. */
  atRevision(stream: string, revision: number): EndpointVersion | undefined;
  /** Whether an endpoint was disabled or deleted at a position, or at any time since: what it was owed
   *  then is not sent. */
  endedSince(stream: string, position: bigint): boolean;
  /** The streams of all endpoints. */
  streams(): readonly string[];
  /** One endpoint as it is now, deleted or not. */
  current(stream: string): EndpointVersion | undefined;
};

type Workspace = {
  streams: string[];
  /** Where its last change was: at and after it, what is current holds. */
  changed: bigint;
  current: readonly EndpointVersion[];
};

export function createEndpointHistory(): EndpointHistory {
  const versions = new Map<string, EndpointVersion[]>();
  const workspaces = new Map<string, Workspace>();

  const at = (stream: string, position: bigint): EndpointVersion | undefined =>
    versions.get(stream)?.findLast((version) => version.position <= position);

  const existing = (streams: readonly string[], position: bigint): EndpointVersion[] =>
    streams.flatMap((stream) => {
      const version = at(stream, position);
      return version === undefined || version.status === "deleted" ? [] : [version];
    });

  return {
    take(event) {
      if (!event.stream.startsWith("endpoint-")) return;
      const known = versions.get(event.stream) ?? [];
      const before = known.at(-1);
      if (event.revision !== (before ? before.revision + 1 : 0)) return;
      const next = versionAfter(before, event);
      versions.set(event.stream, [...known, next]);
      const workspace = workspaces.get(next.workspace) ?? { streams: [], changed: 0n, current: [] };
      if (!before) workspace.streams.push(event.stream);
      workspace.changed = next.position;
      workspace.current = existing(workspace.streams, next.position);
      workspaces.set(next.workspace, workspace);
    },
    asOf(workspace, position) {
      const known = workspaces.get(workspace);
      if (!known) return [];
      return position >= known.changed ? known.current : existing(known.streams, position);
    },
    at,
    atRevision: (stream, revision) => versions.get(stream)?.[revision],
    endedSince(stream, position) {
      const known = versions.get(stream) ?? [];
      return known.some(({ status }, index) => {
        const until = known[index + 1]?.position;
        return (until === undefined || until > position) && (status === "disabled" || status === "deleted");
      });
    },
    streams: () => [...versions.keys()],
    current: (stream) => versions.get(stream)?.at(-1),
  };
}

/** An endpoint with one event more; what it was before stays as it is. */
export function versionAfter(before: EndpointVersion | undefined, event: RecordedEvent): EndpointVersion {
  const { stream, position, revision, meta } = event;
  // What was recorded on this kind of stream was decided from this union; our own history is trusted.
  const happened = event as unknown as EndpointEvent;
  const version: EndpointVersion = {
    ...evolve(before ?? unknownEndpoint, happened),
    stream,
    workspace: meta.workspace ?? "",
    position,
    revision,
    createdAt: before?.createdAt ?? meta.recordedAt,
    updatedAt: meta.recordedAt,
  };
  if (happened.type !== "endpoint.created" && happened.type !== "endpoint.updated") return version;
  const { url: _url, description: _description, match: _match, ...structure } = version;
  return { ...structure, ...happened.content };
}
