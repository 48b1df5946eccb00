/** Taking away what killed processes, and requests that failed, have left behind. */
import type { Lifetime } from '../lifetime.ts'
import type { ObjectContext } from './context.ts'
import type { Deletions } from './deletions.ts'
import { ABANDONED_MS, isOwnKey, isTempKey, TEMP_PREFIX } from './layout.ts'
import type { Leases } from './leases.ts'

/** Milliseconds between two looks for what was left behind. */
const TIDY_MS = 60 * 60 * 1000

/** Objects that are deleted in one go. */
const DELETE_AT_ONCE = 100

export class Tidying {
  readonly #context: ObjectContext
  readonly #deletions: Deletions
  readonly #leases: Leases
  readonly #lifetime: Lifetime
  readonly #onFailure: (error: unknown) => void
  #timer: NodeJS.Timeout | undefined

  constructor(
    context: ObjectContext,
    deletions: Deletions,
    leases: Leases,
    lifetime: Lifetime,
    onFailure: (error: unknown) => void
  ) {
    this.#context = context
    this.#deletions = deletions
    this.#leases = leases
    this.#lifetime = lifetime
    this.#onFailure = onFailure
  }

  /** What was left behind is no hurry, and no reason not to begin. Nodes that run for months leave things behind, too. */
  begin(): void {
    if (this.#context.leaveAsIs === true) return
    this.#timer = setInterval(() => this.#tidyNow(), TIDY_MS).unref()
    this.#tidyNow()
  }

  #tidyNow(): void {
    const steps = [
      () => this.#leases.endAbandoned(),
      (signal: AbortSignal) => this.#deletions.resume(signal),
      (signal: AbortSignal) => this.#sweepUploads(signal),
      (signal: AbortSignal) => this.#sweepTemp(signal)
    ]
    for (const step of steps) {
      this.#lifetime.run(undefined, step).catch(this.#onFailure)
    }
  }

  end(): void {
    clearInterval(this.#timer)
  }

  async #sweepUploads(signal: AbortSignal): Promise<void> {
    await this.#context.storage.sweepUploads(Date.now() - ABANDONED_MS, { signal, of: isOwnKey })
  }

  async #sweepTemp(signal: AbortSignal): Promise<void> {
    const before = Date.now() - ABANDONED_MS
    const abandoned: string[] = []
    for await (const { key, modifiedAt } of this.#context.storage.list({ prefix: TEMP_PREFIX, signal })) {
      if (modifiedAt < before && isTempKey(key)) abandoned.push(key)
      if (abandoned.length === DELETE_AT_ONCE)
        await this.#context.storage.delete(abandoned.splice(0), { signal })
    }
    if (abandoned.length > 0) await this.#context.storage.delete(abandoned, { signal })
  }
}
