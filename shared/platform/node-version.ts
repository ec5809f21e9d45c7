const MAJOR_MIN = 24;

/** Ends the process with one clear line where Node is too old: it would fail later and less clearly, at a
 *  module or a syntax that it does not know. Call it before anything else. */
export function requireNode24(version: string = process.version): void {
  const major = Number(/^v(\d+)\./.exec(version)?.[1]);
  if (major >= MAJOR_MIN) return;
  process.stderr.write(
    `runledger needs Node ${MAJOR_MIN} or newer, this is ${version}: ` +
      'start it by "npm run" or "npx node", which bring the right one\n',
  );
  process.exit(1);
}
