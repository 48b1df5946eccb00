/** Showing how far something has come: a bar on a terminal, else a line for every 10 %. */
import { formatBytes, formatSeconds } from './format.ts'
import type { Output } from './output.ts'
import { Rate } from './rate.ts'

export interface Amount {
  /** Bytes done, by now and before. */
  readonly bytes: number
  /** Bytes in all; undefined when nobody knows. */
  readonly total?: number | undefined
  /** Bytes of these that were there before. */
  readonly had?: number | undefined
  /** Blobs done and blobs in all, by which the share is told when the bytes in all are not known. */
  readonly blobsDone?: number | undefined
  readonly blobs?: number | undefined
  /** How much of all is done, 0 to 1, where neither total is known. */
  readonly share?: number | undefined
  /** What else is to be said: `12 blobs`. */
  readonly note?: string | undefined
}

export interface ProgressOptions {
  /** A clock in ms. */
  readonly now?: (() => number) | undefined
  /**
   * Least number of bytes in all for which lines are printed where there is no terminal.
   *
   * @default 0
   */
  readonly minBytes?: number | undefined
}

/** For what goes on in this machine: less is done before anybody has read the line. */
export const LOCAL_MIN_BYTES = 64 * 1024 * 1024

const BAR_CHARS = 24
const REDRAW_MS = 100
const STEP_PERCENT = 10
/** Without any total, a line each time so many bytes have been done. */
const STEP_BYTES = 100 * 1024 * 1024
const CLEAR_LINE = '\r\u001b[2K'

/** A share from 0 to 100; undefined when nobody knows. */
export function percentOf({ bytes, total, blobsDone, blobs, share }: Amount): number | undefined {
  if (total !== undefined) return total === 0 ? 100 : Math.min(100, Math.floor((bytes / total) * 100))
  if (blobs !== undefined && blobsDone !== undefined && blobs > 0) {
    return Math.min(100, Math.floor((blobsDone / blobs) * 100))
  }
  return share === undefined ? undefined : Math.min(100, Math.floor(share * 100))
}

/** Shows one thing that takes time. */
export class ProgressView {
  readonly #output: Output
  readonly #label: string
  readonly #now: () => number
  readonly #minBytes: number
  readonly #rate: Rate
  #drawnAt = -Infinity
  #isDrawn = false
  #step = 0

  /** @param label what is being done: `receiving` */
  constructor(
    output: Output,
    label: string,
    { now = () => performance.now(), minBytes = 0 }: ProgressOptions = {}
  ) {
    this.#minBytes = minBytes
    this.#output = output
    this.#label = label
    this.#now = now
    this.#rate = new Rate(now)
  }

  update(amount: Amount): void {
    if (!this.#output.showsProgress) return
    this.#rate.add(amount.bytes - (amount.had ?? 0))
    if (this.#output.stderr.isTTY) this.#drawNowAndThen(amount)
    else if ((amount.total ?? Infinity) >= this.#minBytes) this.#printStep(amount)
  }

  /** Takes the bar away, so that something else can be printed. */
  end(): void {
    if (this.#isDrawn) this.#output.stderr.write(CLEAR_LINE)
    this.#isDrawn = false
  }

  #drawNowAndThen(amount: Amount): void {
    const now = this.#now()
    if (now - this.#drawnAt < REDRAW_MS) return
    this.#drawnAt = now
    this.#isDrawn = true
    const width = this.#output.stderr.columns || 80
    this.#output.stderr.write(CLEAR_LINE + this.#describe(amount, true).slice(0, width - 1))
  }

  #printStep(amount: Amount): void {
    const percent = percentOf(amount)
    const step =
      percent === undefined ? Math.floor(amount.bytes / STEP_BYTES) : Math.floor(percent / STEP_PERCENT)
    if (step <= this.#step) return
    this.#step = step
    this.#output.note(this.#describe(amount, false))
  }

  #describe(amount: Amount, hasBar: boolean): string {
    const { bytes, total, blobsDone, blobs } = amount
    const percent = percentOf(amount)
    const parts = [this.#label]
    if (percent !== undefined) parts.push(hasBar ? `${bar(percent)} ${percent} %` : `${percent} %`)
    parts.push(total === undefined ? formatBytes(bytes) : `${formatBytes(bytes)} of ${formatBytes(total)}`)
    if (total === undefined && blobs !== undefined) parts.push(`${blobsDone ?? 0} of ${blobs} blobs`)
    if (amount.note !== undefined) parts.push(amount.note)
    const rate = this.#rate.bytesPerSecond
    if (rate !== undefined) parts.push(`${formatBytes(rate)}/s`)
    const left = total === undefined ? undefined : this.#rate.secondsFor(total - bytes)
    if (left !== undefined && bytes < total!) parts.push(`${formatSeconds(left)} left`)
    return parts.join('  ')
  }
}

function bar(percent: number): string {
  const full = Math.round((percent / 100) * BAR_CHARS)
  return `[${'#'.repeat(full)}${'.'.repeat(BAR_CHARS - full)}]`
}
