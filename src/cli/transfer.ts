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

  /** Says, once it is known, how much had been there already; by blobs where the bytes in all are not known. */
  #tellHad({ had, received, total, hash, blobsDone, blobs }: FetchProgress): void {
    if (this.#hasToldHad || (total === undefined && blobs === undefined)) return
    this.#hasToldHad = true
    const percent = percentOf({ bytes: had, total, blobsDone, blobs }) ?? 0
    const isAll = total === undefined ? blobsDone === blobs : received + had >= total
    if (had === 0 || percent === 0 || isAll) return
    const of =
      total === undefined ? `${blobsDone} of ${blobs} blobs` : `${formatBytes(had)} of ${formatBytes(total)}`
    this.#output.note(`had ${percent} % of ${hash.toShortString()} (${of}), fetching the rest`)
    const event = {
      event: 'resumed',
      hash,
      had,
      total: total ?? null,
      percent,
      blobsDone,
      blobs: blobs ?? null
    }
    this.#output.result(event)
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
      percent: percentOf({ bytes: received + had, total, blobsDone, blobs }) ?? null,
      blobsDone,
      blobs: blobs ?? null
    })
    this.#toldAt = performance.now()
    this.#untold = undefined
  }
}
