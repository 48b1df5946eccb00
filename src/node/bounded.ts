/** Doing many things, some at a time. */

/**
 * Runs `action` for each item, at most `limit` at a time. After a failure no further one is begun; those under way are asked to
 * stop by the signal they get, and waited for.
 *
 * @throws the first failure
 */
export async function forEachBounded<T>(
  items: Iterable<T>,
  limit: number,
  action: (item: T, signal: AbortSignal) => Promise<void>,
  signal?: AbortSignal
): Promise<void> {
  const failing = new AbortController()
  const either = signal === undefined ? failing.signal : AbortSignal.any([failing.signal, signal])
  const iterator = items[Symbol.iterator]()
  const work = async (): Promise<void> => {
    for (let next = iterator.next(); next.done !== true; next = iterator.next()) {
      if (failing.signal.aborted) return
      try {
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
  failing.signal.throwIfAborted()
}
