/** Lets in so much at a time, in the order of asking. What is more than ever fits waits until it is alone. */
export function openGate(max: number) {
  const waiting: { weight: number; enter: () => void }[] = [];
  let inside = 0;

  function admit(): void {
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      if (inside > 0 && inside + next.weight > max) return;
      waiting.shift();
      inside += next.weight;
      next.enter();
    }
  }

  return {
    /** Resolves once there is room, with what makes the room free again. */
    enter: (weight: number): Promise<() => void> =>
      new Promise((resolve) => {
        const leave = () => {
          inside -= weight;
          admit();
        };
        waiting.push({ weight, enter: () => resolve(leave) });
        admit();
      }),
  };
}
