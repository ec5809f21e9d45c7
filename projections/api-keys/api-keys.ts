import type { ApiKeyEvent } from "../../shared/domain/access/events.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import { happened, type Projection } from "../projection.ts";
import { type ApiKeyRow, apiKeysView } from "./api-keys.table.ts";

/** One row for each API key. Whether a key is good is asked of its stream, never of this. */
export const apiKeys: Projection<ApiKeyRow> = {
  ...apiKeysView,
  kinds: ["api_key"],
  keys: ({ stream }) => [wireIdOf(stream)],
  apply(row, event, id) {
    const known = happened<ApiKeyEvent>(event);
    const { meta, revision, position } = event;
    const touched = { updatedAt: meta.recordedAt, updatedPosition: position, revision };
    if (known.type === "api_key.created") {
      const { permissions, expiresAt } = known.data;
      const name = known.content?.name;
      const none = { overlapUntil: null, rotatedAt: null, revokedAt: null };
      const made = { createdAt: meta.recordedAt, createdPosition: position, ...touched, ...none };
      const key = { id, workspace: meta.workspace ?? "", permissions, expiresAt: expiresAt ?? null, ...made };
      return name === undefined ? key : { ...key, name };
    }
    if (!row) throw new Error(`${id} has no beginning`);
    return known.type === "api_key.rotated"
      ? { ...row, ...touched, rotatedAt: meta.at, overlapUntil: known.data.overlapUntil ?? null }
      : { ...row, ...touched, revokedAt: meta.at };
  },
};
