/** Collecting garbage now and then, while a node runs. */
import type { BlobStore } from '../../store/index.ts'
import { type CollectOptions, collectGarbage, type GarbageReport } from './collect.ts'

/** The part of the time that a running node spends on it: what it serves and fetches comes first. */
const SHARE = 0.1

/** Longest time between two collections, in ms: timers wait no longer, but fire at once. */
export const MAX_INTERVAL_MS: number = 2 ** 31 - 1

export interface GarbageScheduleOptions extends Pick<CollectOptions, 'partialAgeMs'> {
  /** Milliseconds from the end of one collection to the next, up to {@link MAX_INTERVAL_MS}. */
  readonly intervalMs: number
  readonly onCollected?: ((report: GarbageReport) => void) | undefined
  readonly onFailed?: ((error: unknown) => void) | undefined
}

/** @returns ends it, and waits for what is going on */
export function scheduleGarbageCollection(
  store: BlobStore,
  { intervalMs, partialAgeMs, onCollected, onFailed }: GarbageScheduleOptions
): () => Promise<void> {
  if (!(intervalMs > 0 && intervalMs <= MAX_INTERVAL_MS)) {
    throw new RangeError(`garbage is collected every 1 to ${MAX_INTERVAL_MS} ms, not every ${intervalMs}`)
  }
  const stopping = new AbortController()
  const { signal } = stopping
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()
  const collect = async (): Promise<void> => {
    try {
      const report = await collectGarbage(store, { partialAgeMs, share: SHARE, signal })
      onCollected?.(report)
    } catch (error) {
      if (!signal.aborted) onFailed?.(error)
    }
    if (!signal.aborted) wait()
  }
  const wait = (): void => {
    timer = setTimeout(() => {
      running = collect()
    }, intervalMs).unref()
  }
  wait()
  return async () => {
    stopping.abort(new Error('the node is stopping'))
    clearTimeout(timer)
    await running
  }
}
