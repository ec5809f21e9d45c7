/** Secrets in memory, at most so many, and none for longer than so long: the oldest go first. */
export function openKeptSecrets(secretsMax: number, keptMs = Number.POSITIVE_INFINITY) {
  const kept = new Map<string, { secret: Buffer; sinceMs: number }>();
  return {
    get(name: string): Buffer | undefined {
      const found = kept.get(name);
      if (found && performance.now() - found.sinceMs > keptMs) {
        kept.delete(name);
        return undefined;
      }
      return found?.secret;
    },
    set(name: string, secret: Buffer): void {
      kept.delete(name);
      for (const [oldest] of kept) {
        if (kept.size < secretsMax) break;
        kept.delete(oldest);
      }
      kept.set(name, { secret, sinceMs: performance.now() });
    },
    delete: (name: string): void => void kept.delete(name),
    clear: (): void => kept.clear(),
  };
}

export type KeptSecrets = ReturnType<typeof openKeptSecrets>;
