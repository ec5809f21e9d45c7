/** What the code of a kept head is made over. */
export const headText = (position: string, leaf: Uint8Array): string =>
  `head ${position} ${Buffer.from(leaf).toString("hex")}`;
