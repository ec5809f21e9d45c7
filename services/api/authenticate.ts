import { timingSafeEqual } from "node:crypto";
import { type ApiKey, checkKey, parseKey } from "../../shared/domain/access/api-key.ts";
import { hashSecret } from "../../shared/ledger/keys.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { knownPermissions } from "./permissions.ts";
import { catalogue } from "./problems.ts";
import type { Principal } from "./route.ts";

export type AuthenticateDeps = {
  /** A workspace's key as it is now; a promise where it has to be looked up. */
  findKey: (workspace: string, keyId: string) => ApiKey | undefined | Promise<ApiKey | undefined>;
  now: () => number;
};

const equal = (one: string, other: string): boolean =>
  one.length === other.length && timingSafeEqual(Buffer.from(one, "latin1"), Buffer.from(other, "latin1"));

/** Who holds a presented key. The same folded key is the same object, so that its holder is made only
 *  once. */
export function authenticator({ findKey, now }: AuthenticateDeps) {
  const holders = new WeakMap<ApiKey, Principal>();

  function judge(
    key: ApiKey | undefined,
    workspace: string,
    keyId: string,
    secret: string,
  ): Principal | Problem {
    const verdict = key === undefined ? "unknown" : checkKey(key, hashSecret(secret), now(), equal);
    if (key === undefined || verdict === "unknown") return problem("unauthenticated");
    if (verdict === "expired") return problem("key_expired");
    if (verdict === "revoked") return problem("key_revoked");
    const known = holders.get(key);
    if (known) return known;
    const permissions = new Set(knownPermissions(key.permissions));
    const holder: Principal = { workspace, keyId, actor: { type: "api_key", id: keyId }, permissions };
    holders.set(key, holder);
    return holder;
  }

  return (token: string): Principal | Problem | Promise<Principal | Problem> => {
    const parsed = parseKey(token);
    if (parsed === undefined) return problem("unauthenticated");
    const { workspace, keyId, secret } = parsed;
    const found = findKey(workspace, keyId);
    if (!(found instanceof Promise)) return judge(found, workspace, keyId, secret);
    return found.then((key) => judge(key, workspace, keyId, secret));
  };
}

const problem = (code: "unauthenticated" | "key_expired" | "key_revoked"): Problem =>
  new Problem(code, catalogue[code].description);
