/** Showing work on many blobs, of which nobody knows how many there are: as events for scripts, as progress for people. */
import { plural } from './format.ts'
import type { Output } from './output.ts'
import { ProgressView } from './progress.ts'

/** Least time between two progress events, in ms. */
const EVENT_MS = 250

export interface Work {
  /** Blobs that are done with. */
  readonly blobs: number
  /** Bytes that were read or copied. */
  readonly bytes: number
  /** How much of all is done, 0 to 1; undefined when nobody knows. */
  readonly share?: number | undefined
}

export class WorkView {
  readonly #output: Output
  readonly #view: ProgressView
  #toldAt = -Infinity
  #untold: Work | undefined

  /** @param label what is being done: `copying` */
  constructor(output: Output, label: string) {
    this.#output = output
    this.#view = new ProgressView(output, label)
  }

  update(work: Work): void {
    const { bytes, blobs, share } = work
    this.#view.update({ bytes, share, note: plural(blobs, 'blob') })
    this.#untold = work
    if (performance.now() - this.#toldAt >= EVENT_MS) this.#tell()
  }

  /** Tells how far it has come, if that was not told yet, and takes the progress away. May be called again. */
  end(): void {
    this.#tell()
    this.#view.end()
  }

  #tell(): void {
    if (this.#untold === undefined) return
    const { blobs, bytes, share } = this.#untold
    this.#output.result({ event: 'progress', blobs, bytes, share: share ?? null })
    this.#toldAt = performance.now()
    this.#untold = undefined
  }
}
