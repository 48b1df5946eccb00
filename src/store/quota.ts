/**
 * A store that takes no more than so many bytes: another store, with a look at what it holds before anything is let in. Loads in a
 * browser; `addPath` needs Node, as in the store.
 *
 * Several processes that write to one store at the same time each look for themselves, and may together let in a little more.
 */
import { OutboardBuilder } from '../bao/outboard.ts'
import type { Hash } from '../hash.ts'
import { StoreFullError } from './errors.ts'
import type {
  AddOptions,
  AddResult,
  BlobInfo,
  BlobReader,
  BlobStatus,
  BlobStore,
  BlobWriter,
  ExportOptions,
  Lease,
  OpenOptions,
  Sweep,
  TagStore,
  Usage,
  UsageOptions,
  WaitOptions
} from './index.ts'
import { Remembered } from './remembered.ts'
import { heldBytes } from './status.ts'
import { abortable, pause } from './waiting.ts'

export interface QuotaOptions {
  /** Most bytes of data to hold, of complete and partial blobs; outboards come on top, 1/256 of it. */
  readonly maxBytes: number
  /** Tries to free so many bytes when there is no room, before anything is refused. */
  readonly makeRoom?: ((bytes: number) => Promise<void>) | undefined
}

/** What comes in during a look may be counted twice, so that one has to look again. */
const MOST_LOOKS = 3

/** Bytes that are hashed without asking whether it is time for the others. */
const HASH_AT_ONCE = 1024 * 1024

export class QuotaStore implements BlobStore {
  readonly #store: BlobStore
  readonly #options: QuotaOptions
  /** Bytes that are let in and have not come yet. */
  #arriving = 0
  /** Bytes that have come in since the last look at what the store holds. */
  #arrived = 0
  readonly #usage = new Remembered(() => this.#look())
  #makingRoom: Promise<void> | undefined
  readonly statusOfMany?: NonNullable<BlobStore['statusOfMany']>

  constructor(store: BlobStore, options: QuotaOptions) {
    if (!(options.maxBytes >= 0))
      throw new RangeError(`maxBytes is a number of bytes, not ${options.maxBytes}`)
    this.#store = store
    this.#options = options
    if (store.statusOfMany !== undefined) this.statusOfMany = store.statusOfMany.bind(store)
  }

  get tags(): TagStore {
    return this.#store.tags
  }

  async status(hash: Hash, options?: WaitOptions): Promise<BlobStatus> {
    return await this.#store.status(hash, options)
  }

  async open(hash: Hash, options?: OpenOptions): Promise<BlobReader | undefined> {
    return await this.#store.open(hash, options)
  }

  async writer(hash: Hash, size: number, options: WaitOptions = {}): Promise<BlobWriter> {
    const status = await this.#store.status(hash, options)
    const missing = status.state === 'complete' ? 0 : size - heldBytes(status)
    const room = await this.#room(Math.max(0, missing), options)
    try {
      return withRoom(await this.#store.writer(hash, size, options), room)
    } catch (error) {
      room.release()
      throw error
    }
  }

  /** What the store holds already is let in however full it is: it takes no room. */
  async addBytes(bytes: Uint8Array, options: AddOptions = {}): Promise<AddResult> {
    const add = () => this.#store.addBytes(bytes, options)
    return await this.#within(bytes.length, options, add, () => piecesOf(bytes))
  }

  /**
   * How long the stream is shows while it comes: when there is no more room, what has come of it is dropped, also when the store
   * holds all of it already.
   */
  async addStream(source: AsyncIterable<Uint8Array>, options: AddOptions = {}): Promise<AddResult> {
    const room = new Room(this.#counters)
    const counted = watched(source, bytes => this.#take(room, bytes, options))
    try {
      const added = await this.#store.addStream(counted, options)
      room.arrive(added.size)
      return added
    } finally {
      room.release()
    }
  }

  /** What the store holds already is let in however full it is. When there is no room, the file is read to know that. */
  async addPath(path: string, options: AddOptions = {}): Promise<AddResult> {
    const { stat } = await import('node:fs/promises')
    const { readInputFile, takingTurns } = await import('./input-file.ts')
    // What cannot be read is the store's to tell.
    const size = await stat(path).then(
      stats => stats.size,
      () => 0
    )
    const add = () => this.#store.addPath(path, options)
    return await this.#within(size, options, add, () => readInputFile(path, options.signal, takingTurns()))
  }

  async exportPath(hash: Hash, target: string, options?: ExportOptions): Promise<void> {
    await this.#store.exportPath(hash, target, options)
  }

  list(options?: WaitOptions): AsyncIterable<BlobInfo> {
    return this.#store.list(options)
  }

  async delete(hash: Hash): Promise<boolean> {
    return await this.#store.delete(hash)
  }

  async reportDamage(hash: Hash): Promise<BlobStatus> {
    return await this.#store.reportDamage(hash)
  }

  observe(hash: Hash, options?: WaitOptions): AsyncIterable<BlobStatus> {
    return this.#store.observe(hash, options)
  }

  async lease(options?: WaitOptions): Promise<Lease> {
    return await this.#store.lease(options)
  }

  async sweep(options?: WaitOptions): Promise<Sweep> {
    return await this.#store.sweep(options)
  }

  async usage(options?: UsageOptions): Promise<Usage> {
    return await this.#store.usage(options)
  }

  async close(): Promise<void> {
    await this.#store.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #within(
    bytes: number,
    options: WaitOptions,
    add: () => Promise<AddResult>,
    read: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>
  ): Promise<AddResult> {
    let room: Room
    try {
      room = await this.#room(bytes, options)
    } catch (error) {
      if (!(error instanceof StoreFullError)) throw error
      const { state } = await this.#store.status(await hashOf(read(), options.signal), options)
      if (state !== 'complete') throw error
      return await add()
    }
    try {
      const added = await add()
      room.arrive(bytes)
      return added
    } finally {
      room.release()
    }
  }

  /** @throws StoreFullError */
  async #room(bytes: number, options: WaitOptions): Promise<Room> {
    const room = new Room(this.#counters)
    await this.#take(room, bytes, options)
    return room
  }

  /** Lets so many more bytes in. @throws StoreFullError */
  async #take(room: Room, bytes: number, { signal }: WaitOptions): Promise<void> {
    if (bytes === 0) return
    if (this.#tryToTake(room, bytes, await this.#usage.get({ signal }))) return
    if (await this.#lookAndTake(room, bytes, signal)) return
    await abortable(this.#makeRoom(bytes), signal)
    if (!(await this.#lookAndTake(room, bytes, signal)))
      throw this.#full(bytes, await this.#usage.get({ signal }))
  }

  async #lookAndTake(room: Room, bytes: number, signal: AbortSignal | undefined): Promise<boolean> {
    for (let look = 0; look < MOST_LOOKS; look++) {
      if (this.#tryToTake(room, bytes, await this.#usage.get({ signal, isFresh: true }))) return true
      if (this.#arrived === 0) return false
    }
    return false
  }

  /** In one step: others who come in between would get the same room. */
  #tryToTake(room: Room, bytes: number, usage: Usage): boolean {
    if (usage.bytes + this.#arrived + this.#arriving + bytes > this.#options.maxBytes) return false
    room.take(bytes)
    return true
  }

  /** One attempt serves all who need room meanwhile. */
  async #makeRoom(bytes: number): Promise<void> {
    this.#makingRoom ??= Promise.resolve(this.#options.makeRoom?.(bytes)).finally(() => {
      this.#makingRoom = undefined
    })
    await this.#makingRoom
  }

  async #look(): Promise<Usage> {
    const before = this.#arrived
    const usage = await this.#store.usage({ isFresh: true })
    this.#arrived -= before
    return usage
  }

  get #counters(): Counters {
    return {
      take: bytes => {
        this.#arriving += bytes
      },
      arrive: bytes => {
        this.#arriving -= bytes
        this.#arrived += bytes
      },
      release: bytes => {
        this.#arriving -= bytes
      }
    }
  }

  #full(bytes: number, usage: Usage): StoreFullError {
    const arriving = this.#arriving === 0 ? '' : `, ${this.#arriving} are on their way`
    const partial = usage.partialBytes === 0 ? '' : ` (partial blobs hold ${usage.partialBytes} bytes)`
    return new StoreFullError(
      `no room for ${bytes} more bytes: of ${this.#options.maxBytes} (max_size) ${usage.bytes} are in use${arriving}; ` +
        `delete tags and collect garbage${partial}, or raise max_size`
    )
  }
}

interface Counters {
  readonly take: (bytes: number) => void
  readonly arrive: (bytes: number) => void
  readonly release: (bytes: number) => void
}

/** Room for something that is on its way. */
class Room {
  readonly #counters: Counters
  #left = 0

  constructor(counters: Counters) {
    this.#counters = counters
  }

  take(bytes: number): void {
    this.#left += bytes
    this.#counters.take(bytes)
  }

  /** So much of it has come: the store counts it from now on. */
  arrive(bytes: number): void {
    const come = Math.min(bytes, this.#left)
    this.#left -= come
    this.#counters.arrive(come)
  }

  /** What has not come does not come any more. May be called again. */
  release(): void {
    this.#counters.release(this.#left)
    this.#left = 0
  }
}

function withRoom(writer: BlobWriter, room: Room): BlobWriter {
  const close = async (): Promise<BlobStatus> => {
    try {
      return await writer.close()
    } finally {
      room.release()
    }
  }
  return {
    hash: writer.hash,
    size: writer.size,
    write: async (verified, options) => {
      const bytes = verified.leaves.reduce((sum, leaf) => sum + leaf.bytes.length, 0)
      await writer.write(verified, options)
      room.arrive(bytes)
    },
    close,
    [Symbol.asyncDispose]: async () => {
      await close()
    }
  }
}

/** The same stream, of which each piece is told before it is handed on. Who is told can end it by failing. */
function watched(
  source: AsyncIterable<Uint8Array>,
  tell: (bytes: number) => Promise<void>
): AsyncIterable<Uint8Array> {
  // No generator: that could not be told to end while the source is silent.
  return {
    [Symbol.asyncIterator]: () => {
      const pieces = source[Symbol.asyncIterator]()
      return {
        next: async () => {
          const next = await pieces.next()
          if (next.done === true) return next
          try {
            await tell(next.value.length)
          } catch (error) {
            await pieces.return?.()
            throw error
          }
          return next
        },
        return: async () => {
          await pieces.return?.()
          return { done: true, value: undefined }
        }
      }
    }
  }
}

function* piecesOf(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += HASH_AT_ONCE) yield bytes.subarray(at, at + HASH_AT_ONCE)
}

async function hashOf(
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  signal: AbortSignal | undefined
): Promise<Hash> {
  const builder = new OutboardBuilder(() => undefined)
  for await (const piece of pieces) {
    builder.push(piece)
    // Others have their turn.
    await pause(0, signal)
    signal?.throwIfAborted()
  }
  return builder.finish().hash
}
