/**
 * What is read from a socket, side by side in memory.
 *
 * Node makes memory and three objects for each record of TLS, 16 KiB at most, and passes them through a Readable. It can read into
 * memory of ours, for sockets that were opened so (`onread` of `net.connect`); TLS on a socket that is there already has all that this
 * takes, but no option for it. So it is done behind Node's back, with fields that it calls by symbols. Where they are not to be found,
 * the socket is left as it is.
 */
import { Socket } from 'node:net'

/**
 * Bytes of memory to read into: what came at once a moment ago, four times, within these limits. With more than 32 KiB at a time nothing
 * gets faster, and what waits to be collected takes 10 to 20 MiB more.
 */
const LEAST_BYTES = 4 * 1024
const MOST_BYTES = 32 * 1024

/** Whoever keeps a few bytes is not to keep all of the memory beside them: less than this is copied. */
const COPIED_BYTES = 4 * 1024

/** A socket, and what is private to Node. */
type OpenSocket = Socket & {
  readonly _handle: { useUserBuffer(target: Uint8Array): void }
} & Record<symbol, unknown>

export class SideBySideReads {
  readonly #onRead: () => void
  #memory: Uint8Array = Buffer.allocUnsafeSlow(LEAST_BYTES)
  /** What has come and was not taken. */
  #from = 0
  #to = 0
  /** Most bytes that were taken at once since this memory was made. */
  #largest = 0
  /** What of the memory before has not been taken. */
  readonly #before: Uint8Array[] = []

  /**
   * Has the socket read in this way from now on. Nothing may wait in it to be read.
   *
   * @param onRead called whenever something has come
   * @returns undefined when it cannot be done here
   */
  static of(socket: Socket, onRead: () => void): SideBySideReads | undefined {
    return symbols !== undefined && isOpen(socket) ? new SideBySideReads(socket, symbols, onRead) : undefined
  }

  private constructor(socket: OpenSocket, { buffer, callback, generator }: Symbols, onRead: () => void) {
    this.#onRead = onRead
    const first = this.#next()
    socket[callback] = this.#onBytes
    socket[generator] = this.#next
    socket[buffer] = first
    socket._handle.useUserBuffer(first)
  }

  /** Bytes that have come and were not taken. */
  get length(): number {
    return this.#before.reduce((sum, { length }) => sum + length, this.#to - this.#from)
  }

  /** Takes what has come. Nothing is ever written to it again. */
  take(): Uint8Array[] {
    const { length } = this
    this.#largest = Math.max(this.#largest, length)
    this.#putAside()
    return this.#before.splice(0)
  }

  readonly #onBytes = (count: number): boolean => {
    this.#to += count
    this.#onRead()
    return true
  }

  /** Where the next bytes are read to. */
  readonly #next = (): Uint8Array => {
    if (this.#to === this.#memory.length) {
      this.#putAside()
      const wanted = Math.max(this.#largest, this.length) * 4
      this.#memory = Buffer.allocUnsafeSlow(Math.min(MOST_BYTES, Math.max(LEAST_BYTES, wanted)))
      this.#largest = 0
      this.#from = 0
      this.#to = 0
    }
    return this.#memory.subarray(this.#to)
  }

  #putAside(): void {
    if (this.#to === this.#from) return
    const isLittle = this.#to - this.#from < COPIED_BYTES
    const bytes = isLittle
      ? Uint8Array.from(this.#memory.subarray(this.#from, this.#to))
      : this.#memory.subarray(this.#from, this.#to)
    this.#before.push(bytes)
    this.#from = this.#to
  }
}

interface Symbols {
  readonly buffer: symbol
  readonly callback: symbol
  readonly generator: symbol
}

/** As they are on a socket that was opened so. */
const symbols = ((): Symbols | undefined => {
  const onread = { buffer: new Uint8Array(1), callback: () => true }
  const there = Object.getOwnPropertySymbols(new Socket({ onread }))
  const named = (name: string) => there.find(({ description }) => description === name)
  const buffer = named('kBuffer')
  const callback = named('kBufferCb')
  const generator = named('kBufferGen')
  return buffer && callback && generator && { buffer, callback, generator }
})()

function isOpen(socket: Socket): socket is OpenSocket {
  const handle: unknown = '_handle' in socket ? socket._handle : undefined
  return (
    typeof handle === 'object' &&
    handle !== null &&
    'useUserBuffer' in handle &&
    typeof handle.useUserBuffer === 'function'
  )
}
