/** Hands things from one task to another, one at a time: who pushes waits until the thing has been taken and done with. */
export class Channel<T> {
  readonly #waiting: { readonly value: T; readonly done: () => void }[] = []
  #wake: (() => void) | undefined
  #end: { readonly error?: unknown } | undefined

  /** Resolves when the consumer comes for the next thing, or has left. */
  push(value: T): Promise<void> {
    if (this.#end !== undefined) return Promise.resolve()
    return new Promise(resolve => {
      this.#waiting.push({ value, done: resolve })
      this.#wake?.()
    })
  }

  /** Nothing more will come; what waits is still taken. */
  end(): void {
    this.#end ??= {}
    this.#wake?.()
  }

  /**
   * The consumer meets `error` after all that waits.
   *
   * @param isUrgent drops what waits
   */
  fail(error: unknown, isUrgent = false): void {
    this.#end ??= { error }
    if (isUrgent) for (const { done } of this.#waiting.splice(0)) done()
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        const next = this.#waiting.shift()
        if (next !== undefined) {
          try {
            yield next.value
          } finally {
            next.done()
          }
        } else if (this.#end !== undefined) {
          if ('error' in this.#end) throw this.#end.error
          return
        } else {
          await new Promise<void>(resolve => {
            this.#wake = resolve
          })
          this.#wake = undefined
        }
      }
    } finally {
      this.#end ??= {}
      for (const { done } of this.#waiting.splice(0)) done()
    }
  }
}
