/** Tells of progress, but not too often. */

/** Bytes between two reports, at least. */
const REPORT_BYTES = 1024 * 1024

export class Progress {
  readonly #report: ((bytes: number) => void) | undefined
  #bytes = 0
  #reported = 0

  constructor(report: ((bytes: number) => void) | undefined) {
    this.#report = report
  }

  add(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes - this.#reported >= REPORT_BYTES) this.#tell()
  }

  /** Tells of the rest. */
  end(): void {
    if (this.#bytes > this.#reported) this.#tell()
  }

  #tell(): void {
    this.#reported = this.#bytes
    this.#report?.(this.#bytes)
  }
}
