/** Doing many things, some at a time. */

/**
 * Runs `action` for each item, at most `limit` at a time. After a failure no further one is begun; those under way are asked to
 * stop by the signal they get, and waited for. Items that come one after the other are taken no sooner than there is a place.
 *
 * @throws the first failure
 */
export async function forEachBounded<T>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  action: (item: T, signal: AbortSignal) => Promise<void>,
  signal?: AbortSignal
): Promise<void> {
  const failing = new AbortController()
  const either = signal === undefined ? failing.signal : AbortSignal.any([failing.signal, signal])
  const iterator = iteratorOf(items)
  const work = async (): Promise<void> => {
    while (!failing.signal.aborted) {
      try {
        const next = await iterator.next()
        // Another one may have failed while this item was on its way.
        if (next.done === true || failing.signal.aborted) return
        signal?.throwIfAborted()
        await action(next.value, either)
      } catch (error) {
        // The first failure is the reason; what the others say when they are stopped because of it is not.
        failing.abort(error)
        return
      }
    }
  }
  await Promise.all(Array.from({ length: limit }, work))
  if (failing.signal.aborted) await iterator.return?.()
  failing.signal.throwIfAborted()
}

function iteratorOf<T>(items: Iterable<T> | AsyncIterable<T>): Iterator<T> | AsyncIterator<T> {
  return Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
}
