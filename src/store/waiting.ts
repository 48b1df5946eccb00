/** Waiting that can be given up. */

/** The result of `promise`, or the signal's reason when it aborts first. What `promise` does goes on. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort)
  // Whichever loses the race fails for nobody.
  promise.catch(() => undefined)
  try {
    signal.throwIfAborted()
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** Waits for all, also when one fails: what they work on is in use until then. @throws what the first that failed has thrown */
export async function allDone(promises: readonly Promise<unknown>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(promises)) {
    if (outcome.status === 'rejected') throw outcome.reason
  }
}

/**
 * The items of `source`, until the signal aborts: then its reason is thrown, even while `source` is silent. `source` is
 * told to end, but a silent one is not waited for.
 */
export async function* abortableItems<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal | undefined
): AsyncGenerator<T, void, undefined> {
  signal?.throwIfAborted()
  const iterator = source[Symbol.asyncIterator]()
  let isOver = false
  let isPending = false
  try {
    for (;;) {
      isPending = true
      const next = await abortable(iterator.next(), signal).catch(error => {
        // Either the source has failed, which ends it, or it may still be waiting for its next item.
        isOver = !signal?.aborted
        throw error
      })
      isPending = false
      if (next.done === true) {
        isOver = true
        return
      }
      yield next.value
    }
  } finally {
    if (!isOver) {
      const ending = Promise.resolve(iterator.return?.())
      if (isPending) ending.catch(() => undefined)
      else await ending
    }
  }
}

/** Resolves after `ms` milliseconds, or when the signal aborts, without an error. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  const onAbort = () => resolve()
  signal?.addEventListener('abort', onAbort)
  await promise
  clearTimeout(timer)
  signal?.removeEventListener('abort', onAbort)
}
