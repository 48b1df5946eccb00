/** A page of an outboard: under way, then there. */

export class OutboardPage {
  readonly key: string
  readonly number: number
  /** Bytes from the object's start. */
  readonly start: number
  readonly end: number
  /** What it holds, once it is there. */
  bytes: Uint8Array | undefined
  /** Rejects for those who wait; when nobody does, its failure is nobody's. */
  readonly arrival: Promise<Uint8Array>
  readonly resolve: (bytes: Uint8Array) => void
  readonly reject: (error: unknown) => void
  /** How many wait for it. */
  waiting = 0
  /** Called when somebody has given up waiting. */
  onLeave: (() => void) | undefined

  constructor(key: string, number: number, start: number, end: number) {
    this.key = key
    this.number = number
    this.start = start
    this.end = end
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    promise.catch(() => undefined)
    this.arrival = promise
    this.resolve = resolve
    this.reject = reject
  }

  get length(): number {
    return this.end - this.start
  }

  /** Fills the part of `target`, which begins at `offset` in the object, that this page has. */
  copyTo(target: Uint8Array, offset: number, bytes: Uint8Array): void {
    const from = Math.max(this.start, offset)
    const to = Math.min(this.end, offset + target.length)
    target.set(bytes.subarray(from - this.start, to - this.start), from - offset)
  }
}
