/** Storage that tells what is read of it, and fails, waits or makes up its bytes when it is told to. */
import { setImmediate } from 'node:timers/promises'
import type { Slice, StorageOptions } from '../../../../src/store/object/storage/index.ts'
import { MemoryStorage } from '../../../../src/store/object/storage/memory/index.ts'

const PIECE_BYTES = 64 * 1024

/** Bytes of an object that is too large to be in memory. */
export type MadeUp = (offset: number, length: number) => Uint8Array

export class ObservedStorage extends MemoryStorage {
  /** All GETs, in their order. */
  readonly gets: Slice[] = []
  /** Bytes that were taken of them. */
  bytes = 0
  inFlight = 0
  mostInFlight = 0
  /** Called before each piece that a GET yields, and before its end; what it throws, the GET throws. */
  onPiece: ((get: number, offset: number) => Promise<void> | void) | undefined
  readonly #madeUp = new Map<string, MadeUp>()

  makeUp(key: string, bytes: MadeUp): void {
    this.#madeUp.set(key, bytes)
  }

  getsOf(key: string): Slice[] {
    return this.gets.filter(get => get.key === key)
  }

  override async *read(
    slice: Slice,
    options: StorageOptions = {}
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const get = this.gets.push(slice) - 1
    this.inFlight++
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight)
    try {
      let offset = slice.offset
      for await (const bytes of this.#source(slice, options)) {
        await this.#turn(get, offset, options.signal)
        offset += bytes.length
        this.bytes += bytes.length
        yield bytes
      }
      await this.#turn(get, offset, options.signal)
    } finally {
      this.inFlight--
    }
  }

  async #turn(get: number, offset: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    const aborted = Promise.withResolvers<never>()
    const onAbort = () => aborted.reject(signal?.reason)
    aborted.promise.catch(() => undefined)
    signal?.addEventListener('abort', onAbort)
    try {
      await Promise.race([this.onPiece?.(get, offset), aborted.promise])
      signal?.throwIfAborted()
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  async *#source(slice: Slice, options: StorageOptions): AsyncGenerator<Uint8Array, void, undefined> {
    const madeUp = this.#madeUp.get(slice.key)
    if (madeUp === undefined) {
      for await (const bytes of super.read(slice, options)) {
        for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES)
      }
      return
    }
    for (let at = 0; at < slice.length; at += PIECE_BYTES) {
      await setImmediate()
      yield madeUp(slice.offset + at, Math.min(PIECE_BYTES, slice.length - at))
    }
  }
}

/** Bytes that tell their place: a piece at the wrong offset is noticed. */
export function placeBytes(offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) {
    const place = offset + i
    bytes[i] = (place ^ Math.floor(place / 251) ^ Math.floor(place / 65_521)) & 255
  }
  return bytes
}

/** Lets all that can go on without the storage go on, and with it as well, when that waits for nobody. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 200; i++) await setImmediate()
}
