/**
 * Adding blobs. Small ones are hashed in memory and put at once. A file is hashed first, so that nothing goes up that is there
 * already, and read again to go up; into a storage on this machine it is copied by the threads that hash it. A stream, which comes
 * only once, goes up under a temporary key while it is hashed.
 */
import { randomBytes } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { RUN_BYTES } from '../../bao/constants.ts'
import { outboardBytes } from '../../bao/geometry.ts'
import { type HashedBlob, hashBytes, OutboardBuilder } from '../../bao/outboard.ts'
import type { Hash } from '../../hash.ts'
import { FileChangedError, StoreError } from '../errors.ts'
import { explained } from '../fs-errors.ts'
import { type FileCopy, hashFile } from '../hash-pool/hash-file.ts'
import type { AddOptions, AddResult } from '../index.ts'
import { InputFile, readInputFile, takingTurns } from '../input-file.ts'
import type { Limiter } from '../limiter.ts'
import { OutboardSpool } from '../outboard-spool.ts'
import { Progress } from '../progress.ts'
import { abortableItems, pause } from '../waiting.ts'
import type { Arrivals } from './arrivals.ts'
import type { ObjectContext } from './context.ts'
import { BlobTooLargeError } from './errors.ts'
import { deleteAll, publish } from './finish.ts'
import { dataKey, hasOutboard, outboardKey, partialPrefix, TEMP_PREFIX } from './layout.ts'
import type { GrowingObject, LocalFiles } from './storage/local-files.ts'
import { PART_BYTES } from './storage/part-size.ts'
import { putStream, TIDY_MS, uploadStream } from './storage/put-stream.ts'

/** Blobs of at most so many bytes are added from memory. */
export const SMALL_BYTES = 1024 * 1024

/** Runs of 1 MiB that are hashed before others get their turn on the thread. */
const RUNS_PER_TURN = 4

/**
 * Puts the objects of a blob that is not complete yet: the outboard, then the data.
 *
 * Where the data goes up in parts, the outboard goes up in between, before the data becomes visible: what fails before leaves
 * nothing. An outboard that is left alone by what fails after it stays: another node may be adding the same blob, and would
 * miss it. It is found by the next one to add the blob, and by a recovery.
 */
type PutObjects = () => Promise<void>

export class Ingest {
  readonly #context: ObjectContext
  readonly #arrivals: Arrivals
  readonly #maxBlobSize: number
  /** Waits until nobody is deleting the blob's objects. */
  readonly #whenDeleted: (hash: Hash, signal?: AbortSignal) => Promise<void>

  constructor(
    context: ObjectContext,
    arrivals: Arrivals,
    maxBlobSize: number,
    whenDeleted: (hash: Hash, signal?: AbortSignal) => Promise<void>
  ) {
    this.#context = context
    this.#arrivals = arrivals
    this.#maxBlobSize = maxBlobSize
    this.#whenDeleted = whenDeleted
  }

  /** @param bytes not to be changed until they are added */
  async addBytes(bytes: Uint8Array, options: AddOptions = {}): Promise<AddResult> {
    const { signal, onProgress } = options
    this.#checkSize(bytes.length)
    const { hash, outboard } =
      bytes.length <= RUNS_PER_TURN * RUN_BYTES ? hashBytes(bytes) : await hashInTurns(bytes, signal)
    const progress = new Progress(onProgress)
    await this.#place(
      hash,
      bytes.length,
      async () => {
        const { storage } = this.#context
        const putOutboard = async (): Promise<void> => {
          if (outboard.length > 0)
            await putStream(storage, outboardKey(hash), outboard.length, slices(outboard), { signal })
        }
        if (bytes.length <= PART_BYTES) {
          await putOutboard()
          await storage.put(dataKey(hash), [bytes], { signal })
          return
        }
        const source = followedBy(slices(bytes), putOutboard)
        await putStream(storage, dataKey(hash), bytes.length, source, { signal })
      },
      bytes.length > SMALL_BYTES,
      options
    )
    progress.add(bytes.length)
    progress.end()
    return { hash, size: bytes.length }
  }

  /** Keeps a blob of one chunk group, which has been verified. */
  async placeSmall(hash: Hash, bytes: Uint8Array): Promise<void> {
    this.#checkSize(bytes.length)
    await this.#place(hash, bytes.length, () => this.#context.storage.put(dataKey(hash), [bytes]), false)
  }

  /** @param limiterFor by size in bytes: so many at a time */
  async addPath(
    path: string,
    options: AddOptions,
    limiterFor: (size: number) => Limiter
  ): Promise<AddResult> {
    const size = await sizeOfFile(path)
    return await limiterFor(size).run(() => this.#addPath(path, size, options), options.signal)
  }

  async #addPath(path: string, expectedSize: number, options: AddOptions): Promise<AddResult> {
    const { signal } = options
    this.#checkSize(expectedSize)
    if (expectedSize <= SMALL_BYTES) {
      await using reading = readInputFile(path, signal)
      const { pieces, bytes, isEnd } = await takeUpTo(reading, SMALL_BYTES)
      if (!isEnd) throw new FileChangedError(path)
      return await this.addBytes(joined(pieces, bytes), options)
    }
    const { files } = this.#context.storage
    if (files !== undefined) return await this.#copyPath(files, path, options)
    return await withSpool(async spool => {
      const blob = await hashPath(path, spool, options)
      const { hash, size } = blob
      this.#checkSize(size)
      const put: PutObjects = async () => {
        // Read again: what goes up is hashed again, or a file that was changed in between would be stored under this name.
        const again = new OutboardBuilder(() => undefined)
        const source = followedBy(hashedBy(again, readInputFile(path, signal, takingTurns())), async () => {
          if (!again.finish().hash.equals(hash)) throw new FileChangedError(path)
          await this.#putOutboard(blob, spool, signal)
        })
        await putStream(this.#context.storage, dataKey(hash), size, source, { signal })
      }
      await this.#place(hash, size, put, true, options)
      return { hash, size }
    })
  }

  /** Copies a file while it is hashed: what is stored are the very bytes that were hashed. */
  async #copyPath(files: LocalFiles, path: string, options: AddOptions): Promise<AddResult> {
    return await withSpool(async spool => {
      const object = await files.begin()
      try {
        const blob = await hashPath(path, spool, options, await copyTo(object))
        const { hash, size } = blob
        this.#checkSize(size)
        const put: PutObjects = async () => {
          await this.#putOutboard(blob, spool, options.signal)
          await object.save(dataKey(hash))
        }
        await this.#place(hash, size, put, true, options)
        return { hash, size }
      } finally {
        await object.close()
      }
    })
  }

  /** @param limiterFor by size in bytes: so many at a time. How long a stream is shows when it has begun. */
  async addStream(
    source: AsyncIterable<Uint8Array>,
    { signal, onProgress, lease }: AddOptions,
    limiterFor: (size: number) => Limiter
  ): Promise<AddResult> {
    const progress = new Progress(onProgress)
    // What fails here ends the source, also one that is silent.
    const ending = new AbortController()
    const either = signal === undefined ? ending.signal : AbortSignal.any([ending.signal, signal])
    const counted = this.#counted(abortableItems(source, either), progress)
    try {
      const start = await takeUpTo(counted, SMALL_BYTES)
      const add = async (): Promise<AddResult> =>
        start.isEnd
          ? await this.addBytes(joined(start.pieces, start.bytes), { signal, lease })
          : await this.#addLongStream(resumed(start.pieces, counted), { signal, lease })
      const result = await limiterFor(start.isEnd ? start.bytes : Infinity).run(add, signal)
      progress.end()
      return result
    } finally {
      ending.abort(new StoreError('adding the stream has ended'))
      await counted.return()
    }
  }

  async #addLongStream(source: AsyncIterable<Uint8Array>, options: AddOptions): Promise<AddResult> {
    const { signal } = options
    return await withSpool(async spool => {
      const { storage } = this.#context
      const builder = new OutboardBuilder(spool.add)
      const temp = `${TEMP_PREFIX}${randomBytes(16).toString('hex')}`
      try {
        await uploadStream(storage, temp, hashedBy(builder, source, spool), { signal })
        const blob = builder.finish()
        const { hash, size } = blob
        const put: PutObjects = async () => {
          await this.#putOutboard(blob, spool, signal)
          await storage.move(temp, dataKey(hash), { signal })
        }
        await this.#place(hash, size, put, true, options)
        return { hash, size }
      } finally {
        // When it was moved there is nothing left to delete. What cannot be deleted now is swept when it is old.
        await storage.delete([temp], { signal: AbortSignal.timeout(TIDY_MS) }).catch(() => undefined)
      }
    })
  }

  /**
   * Makes a blob complete, unless it is.
   *
   * @param isDear whether the objects take long to put: then one looks first whether they are there
   */
  async #place(
    hash: Hash,
    size: number,
    put: PutObjects,
    isDear: boolean,
    { signal, lease }: AddOptions = {}
  ): Promise<void> {
    await lease?.protect({ hash, format: 'raw' })
    if (size === 0) return
    await this.#whenDeleted(hash, signal)
    const place = async (): Promise<void> => {
      const { storage, metadata } = this.#context
      const row = metadata.find(hash)
      if (row?.state === 'complete' || isDear) {
        // What the index says may have been lost in the storage, and what it does not say may be there.
        const [data, outboard] = await Promise.all([
          storage.stat(dataKey(hash), { signal }),
          hasOutboard(size) ? storage.stat(outboardKey(hash), { signal }) : undefined
        ])
        if (data?.size === size && (outboard?.size ?? 0) === outboardBytes(size)) {
          metadata.markComplete(hash, { size, hasOutboard: hasOutboard(size) })
          if (row?.state !== 'complete') await this.#onComplete(hash, size, row !== undefined)
          return
        }
      }
      await put()
      if (isDear) await publish(this.#context, hash, size, signal)
      else metadata.markComplete(hash, { size, hasOutboard: hasOutboard(size) })
      await this.#onComplete(hash, size, row?.state === 'partial')
    }
    await this.#arrivals.exclusively(hash, place, signal)
  }

  async #onComplete(hash: Hash, size: number, wasPartial: boolean): Promise<void> {
    const wasArriving = this.#arrivals.find(hash) !== undefined
    this.#arrivals.onComplete(hash, size)
    await this.#arrivals.find(hash)?.settle()
    this.#context.changed(hash)
    if (!wasPartial && !wasArriving) return
    try {
      await deleteAll(this.#context, partialPrefix(hash))
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      this.#context.notice(
        `blob ${hash} is complete, but what was left of its parts could not be deleted: ${why}`
      )
    }
  }

  async #putOutboard(blob: HashedBlob, spool: OutboardSpool, signal: AbortSignal | undefined): Promise<void> {
    const { hash, size } = blob
    if (!hasOutboard(size)) return
    const { storage } = this.#context
    await putStream(storage, outboardKey(hash), outboardBytes(size), spool.inOrder(blob), { signal })
  }

  #checkSize(size: number): void {
    if (size > this.#maxBlobSize) throw new BlobTooLargeError(size, this.#maxBlobSize)
  }

  async *#counted(
    source: AsyncIterable<Uint8Array>,
    progress: Progress
  ): AsyncGenerator<Uint8Array, void, undefined> {
    let size = 0
    for await (const piece of source) {
      size += piece.length
      this.#checkSize(size)
      progress.add(piece.length)
      yield piece
    }
  }
}

async function* slices(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += RUN_BYTES) yield bytes.subarray(at, at + RUN_BYTES)
}

async function hashInTurns(
  bytes: Uint8Array,
  signal: AbortSignal | undefined
): Promise<{ hash: Hash; outboard: Uint8Array }> {
  return await withSpool(async spool => {
    const builder = new OutboardBuilder(spool.add)
    for (let at = 0; at < bytes.length; at += RUNS_PER_TURN * RUN_BYTES) {
      builder.push(bytes.subarray(at, at + RUNS_PER_TURN * RUN_BYTES))
      await pause(0, signal)
      signal?.throwIfAborted()
    }
    const blob = builder.finish()
    const outboard = new Uint8Array(outboardBytes(blob.size))
    let at = 0
    for await (const piece of spool.inOrder(blob)) {
      outboard.set(piece, at)
      at += piece.length
    }
    return { hash: blob.hash, outboard }
  })
}

async function hashPath(
  path: string,
  spool: OutboardSpool,
  { signal, onProgress }: AddOptions,
  copy?: WaitedCopy
): Promise<HashedBlob> {
  const progress = new Progress(onProgress)
  const onHashed = (bytes: number) => progress.add(bytes)
  await using file = await InputFile.open(path)
  const blob = await hashFile(file, spool, { signal, onHashed, copy })
  await copy?.written()
  progress.end()
  return blob
}

/** A copy that is written while the rest is hashed. */
interface WaitedCopy extends FileCopy {
  /** Waits until all is written. @throws what keeps it from being written */
  written(): Promise<void>
}

/** Copies to an object, from its beginning. One block is written while the next is hashed, and the one behind it is read. */
async function copyTo(object: GrowingObject): Promise<WaitedCopy> {
  let end = 0
  let writing: Promise<void> = Promise.resolve()
  return {
    target: await object.target(),
    allocate: takingTurns(3),
    write: async block => {
      await writing
      writing = object.write([block], end)
      // Awaited in its turn.
      writing.catch(() => undefined)
      end += block.length
    },
    written: async () => await writing
  }
}

/** Passes pieces on, hashing them. */
async function* hashedBy(
  builder: OutboardBuilder,
  source: AsyncIterable<Uint8Array>,
  spool?: OutboardSpool
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const piece of source) {
    builder.push(piece)
    await spool?.relieve()
    yield piece
  }
}

/** Does something behind the last piece, before the object that the pieces make becomes visible. */
async function* followedBy(
  source: AsyncIterable<Uint8Array>,
  action: () => Promise<void>
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* source
  await action()
}

/** With a place for outboards of blobs above 260 MiB. */
async function withSpool<T>(action: (spool: OutboardSpool) => Promise<T>): Promise<T> {
  const spool = OutboardSpool.inSystemFolder()
  try {
    return await action(spool)
  } finally {
    await spool.close()
  }
}

/** Bytes. @throws StoreError when it is no file: one does not wait for what may never come out of a pipe */
async function sizeOfFile(path: string): Promise<number> {
  const stats = await explained(`cannot read ${path}`, () => stat(path))
  if (!stats.isFile()) throw new StoreError(`${path} is not a regular file; only those can be added`)
  return stats.size
}

function joined(pieces: readonly Uint8Array[], length: number): Uint8Array {
  if (pieces.length === 1) return pieces[0]!
  const whole = new Uint8Array(length)
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}

/** Takes pieces until there are more than `most` bytes, or no more. The pieces are copied: their buffers may be used again. */
async function takeUpTo(
  source: AsyncGenerator<Uint8Array, void, undefined>,
  most: number
): Promise<{ pieces: Uint8Array[]; bytes: number; isEnd: boolean }> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  while (bytes <= most) {
    const next = await source.next()
    if (next.done === true) return { pieces, bytes, isEnd: true }
    pieces.push(next.value.slice())
    bytes += next.value.length
  }
  return { pieces, bytes, isEnd: false }
}

async function* resumed(
  start: Uint8Array[],
  rest: AsyncIterable<Uint8Array>
): AsyncGenerator<Uint8Array, void, undefined> {
  while (start.length > 0) yield start.shift()!
  yield* rest
}
