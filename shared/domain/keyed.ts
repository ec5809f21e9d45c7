/** Values by their keys, never changed in place. Copies share most of what they hold, so that one more value
 *  costs little however many there are: a stream may fold thousands. */
export type Keyed<Value> = readonly (ReadonlyMap<string, Value> | undefined)[];

const SHELVES = 32;

export const nothingKeyed: Keyed<never> = [];

export const valueAt = <Value>(keyed: Keyed<Value>, key: string): Value | undefined =>
  keyed[shelfOf(key)]?.get(key);

/** With one value more, or another under a known key. */
export function withValue<Value>(keyed: Keyed<Value>, key: string, value: Value): Keyed<Value> {
  const shelf = shelfOf(key);
  return Array.from({ length: SHELVES }, (_, index) =>
    index === shelf ? new Map(keyed[index]).set(key, value) : keyed[index],
  );
}

function shelfOf(key: string): number {
  let hash = 0;
  for (let index = 0; index < key.length; index++) hash = (hash * 31 + key.charCodeAt(index)) | 0;
  return (hash ^ (hash >>> 16)) & (SHELVES - 1);
}
