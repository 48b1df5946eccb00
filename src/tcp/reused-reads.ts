/** What is read from a dialled socket, in one buffer that is used again. */
import type { OnReadOpts } from 'node:net'
import { READ_BYTES } from './constants.ts'

/**
 * Node allocates 64 KiB for each read otherwise, and has as much garbage to collect. Goes to `net.connect` as `onread`; sockets that
 * came from a listener cannot have it.
 */
export class ReusedReads {
  #take: ((bytes: Uint8Array) => void) | undefined
  /** Copies of what came before somebody took it. */
  #early: Uint8Array[] = []
  readonly onread: OnReadOpts = {
    buffer: Buffer.allocUnsafeSlow(READ_BYTES),
    callback: (count, buffer) => {
      const bytes = buffer.subarray(0, count)
      if (this.#take === undefined) this.#early.push(Buffer.from(bytes))
      else this.#take(bytes)
      return true
    }
  }

  /** @param take is given bytes that are overwritten once it has returned */
  takenBy(take: (bytes: Uint8Array) => void): void {
    this.#take = take
    for (const bytes of this.#early) take(bytes)
    this.#early = []
  }
}
