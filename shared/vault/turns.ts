/** What is asked in one turn of the event loop is carried out together, and what is asked while that goes on
 *  is the next batch: one after the other, so that no batch overtakes another. */
export function openTurns<Asked>(carryOut: (batch: readonly Asked[]) => Promise<void> | void) {
  let asked: Asked[] = [];
  let running: Promise<void> | undefined;

  async function run(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    while (asked.length > 0) {
      const batch = asked;
      asked = [];
      await carryOut(batch);
    }
    running = undefined;
  }

  return {
    ask(next: Asked): void {
      asked.push(next);
      running ??= run();
    },
    /** Resolves when nothing is left to be carried out. */
    async idle(): Promise<void> {
      while (running) await running;
    },
  };
}
