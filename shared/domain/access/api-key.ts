import { accept, type Decision, refuse, unreachable } from "../event.ts";
import type { ApiKeyEvent, ApiKeyEventType } from "./events.ts";

/** An API key as far as admission needs it: folded from `data` alone, and never the key itself. */
export type ApiKey = {
  status: "unknown" | "active" | "revoked";
  permissions: readonly string[];
  /** SHA-256 of the secret, in hex. */
  secretHash: string;
  /** Null for a key without an end. */
  expiresAt: string | null;
  /** The secret before the last rotation, and until when it is taken too. */
  previous: { secretHash: string; until: string } | null;
};

export const unknownKey: ApiKey = {
  status: "unknown",
  permissions: [],
  secretHash: "",
  expiresAt: null,
  previous: null,
};

/** What may follow what. */
export const follows = {
  unknown: ["api_key.created"],
  active: ["api_key.rotated", "api_key.revoked"],
  revoked: [],
} as const satisfies Record<ApiKey["status"], readonly ApiKeyEventType[]>;

export function decide(key: ApiKey, proposed: ApiKeyEvent): Decision<ApiKeyEvent> {
  const allowed: readonly ApiKeyEventType[] = follows[key.status];
  return allowed.includes(proposed.type)
    ? accept(proposed)
    : refuse("transition_not_allowed", `${proposed.type} cannot follow ${key.status}`);
}

/** Folds one event into a key. Never refuses: it has already happened. */
export function evolve(key: ApiKey, event: ApiKeyEvent): ApiKey {
  switch (event.type) {
    case "api_key.created": {
      const { permissions, secretHash, expiresAt } = event.data;
      return { ...unknownKey, status: "active", permissions, secretHash, expiresAt: expiresAt ?? null };
    }
    case "api_key.rotated": {
      const { secretHash, overlapUntil } = event.data;
      const previous =
        overlapUntil === undefined ? null : { secretHash: key.secretHash, until: overlapUntil };
      return { ...key, secretHash, previous };
    }
    case "api_key.revoked":
      return { ...key, status: "revoked" };
    default:
      return unreachable(event);
  }
}

/** Compares two hashes in hex in a time that does not depend on where they differ. The domain has no
 *  cryptography. */
export type Equal = (one: string, other: string) => boolean;

/** What a presented secret, hashed, is worth at this moment. Only who has the secret learns that the key has
 *  ended. */
export function checkKey(
  key: ApiKey,
  presentedHash: string,
  nowMs: number,
  equal: Equal,
): "ok" | "expired" | "revoked" | "unknown" {
  if (key.status === "unknown") return "unknown";
  const isCurrent = equal(key.secretHash, presentedHash);
  const isPrevious = key.previous !== null && equal(key.previous.secretHash, presentedHash);
  if (!isCurrent && !isPrevious) return "unknown";
  if (key.status === "revoked") return "revoked";
  const isOver = !isCurrent && key.previous !== null && nowMs >= Date.parse(key.previous.until);
  const isExpired = key.expiresAt !== null && nowMs >= Date.parse(key.expiresAt);
  return isOver || isExpired ? "expired" : "ok";
}

const WORKSPACE = "[a-z0-9-]{1,32}";
const KEY = new RegExp(`^rl_(${WORKSPACE})_([a-z0-9]{10})_([A-Za-z0-9]{43})$`);

/** A key's text, apart; undefined when it is not one. */
export function parseKey(text: string): { workspace: string; keyId: string; secret: string } | undefined {
  const [, workspace, keyId, secret] = KEY.exec(text) ?? [];
  if (workspace === undefined || keyId === undefined || secret === undefined) return undefined;
  return { workspace, keyId, secret };
}

/** A key as its holder sees it, once. */
export const formatKey = (workspace: string, keyId: string, secret: string): string =>
  `rl_${workspace}_${keyId}_${secret}`;
