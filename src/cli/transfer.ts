/** Showing a fetch: as events for scripts, as progress for people. */
import type { FetchProgress, FetchResult } from '../libp2p/index.ts'
import { formatBytes, formatSeconds } from './format.ts'
import type { Output } from './output.ts'
import { ProgressView, percentOf } from './progress.ts'

/** Least time between two progress events, in ms. */
const EVENT_MS = 250

export class TransferView {
  readonly #output: Output
  readonly #view: ProgressView
  readonly #startedAt = performance.now()
  #toldAt = -Infinity
  #untold: FetchProgress | undefined
  #hasToldHad = false

  constructor(output: Output, label: string) {
    this.#output = output
    this.#view = new ProgressView(output, label)
  }

  /** Seconds since it began. */
  get seconds(): number {
    return Math.round(performance.now() - this.#startedAt) / 1000
  }

  readonly update = (progress: FetchProgress): void => {
    this.#tellHad(progress)
    const { received, had, total, blobsDone, blobs } = progress
    this.#view.update({ bytes: received + had, total, had, blobsDone, blobs })
    this.#untold = progress
    if (performance.now() - this.#toldAt >= EVENT_MS) this.#tell()
  }

  /** Tells how far it has come, if that was not told yet, and takes the bar away. */
  end(): void {
    this.#tell()
    this.#view.end()
  }

  done(result: FetchResult, path: string | null): void {
    this.end()
    const { hash, size, received, had } = result
    const { seconds } = this
    const before = had > 0 && received > 0 ? `, ${formatBytes(had)} had been there` : ''
    const speed = received > 0 && seconds > 0 ? ` (${formatBytes(received / seconds)}/s)` : ''
    const how =
      received > 0
        ? `${formatBytes(received)} in ${formatSeconds(seconds)}${speed}`
        : 'nothing had to be fetched'
    this.#output.note(`done: ${how}${before}`)
    const event = { event: 'done', hash, size, path, received, had, seconds }
    this.#output.result(event, path ?? hash.toString())
  }

  #tellHad({ had, received, total, hash }: FetchProgress): void {
    if (this.#hasToldHad || total === undefined) return
    this.#hasToldHad = true
    const percent = percentOf({ bytes: had, total }) ?? 0
    if (percent > 0 && received + had < total) {
      this.#output.note(
        `had ${percent} % of ${hash.toShortString()} (${formatBytes(had)} of ${formatBytes(total)}), fetching the rest`
      )
    }
  }

  #tell(): void {
    if (this.#untold === undefined) return
    const { hash, received, had, total, blobsDone, blobs } = this.#untold
    this.#output.result({
      event: 'progress',
      hash,
      received,
      had,
      total: total ?? null,
      blobsDone,
      blobs: blobs ?? null
    })
    this.#toldAt = performance.now()
    this.#untold = undefined
  }
}
