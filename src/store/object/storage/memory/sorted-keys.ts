/** The keys of a Map in ascending order. They are sorted when they are asked for and have changed since. */

export class SortedKeys {
  readonly #map: ReadonlyMap<string, unknown>
  #sorted: readonly string[] | undefined

  constructor(map: ReadonlyMap<string, unknown>) {
    this.#map = map
  }

  /** To be called when a key has come or gone. */
  changed(): void {
    this.#sorted = undefined
  }

  /** The keys of now that begin with `prefix` and come after `after`. Keys are ASCII: their order is that of their bytes. */
  *from(prefix: string, after: string): Generator<string, void, undefined> {
    this.#sorted ??= [...this.#map.keys()].sort()
    const keys = this.#sorted
    for (let i = firstFrom(keys, prefix, after); i < keys.length && keys[i]!.startsWith(prefix); i++) {
      yield keys[i]!
    }
  }
}

/** The place of the first key that is not before `prefix`, and after `after`. */
function firstFrom(keys: readonly string[], prefix: string, after: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >> 1
    const key = keys[middle]!
    if (key < prefix || (after !== '' && key <= after)) low = middle + 1
    else high = middle
  }
  return low
}
