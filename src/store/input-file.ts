/** Reading a file that is being added, and noticing when it changes meanwhile. */
import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { RUN_BYTES } from '../bao/constants.ts'
import { FileChangedError, StoreError } from './errors.ts'
import { toStoreError } from './fs-errors.ts'
import { readAll } from './write-all.ts'

type Allocate = (bytes: number) => Uint8Array

/**
 * Buffers that take turns: new memory for all of a file costs more than hashing it.
 *
 * @param count 2: for who is done with a piece before he asks for the next. One more for each further piece that he still uses
 */
export function takingTurns(count = 2): Allocate {
  const buffers: Uint8Array[] = []
  let turn = 0
  return bytes => {
    turn = (turn + 1) % count
    if ((buffers[turn]?.length ?? 0) < bytes) buffers[turn] = new Uint8Array(bytes)
    return buffers[turn]!
  }
}

/** A file that is open to be added. */
export class InputFile implements AsyncDisposable {
  readonly path: string
  readonly handle: FileHandle
  /** Bytes. */
  readonly size: number
  readonly #mtimeNs: bigint

  private constructor(path: string, handle: FileHandle, { size, mtimeNs }: BigIntStats) {
    this.path = path
    this.handle = handle
    this.size = Number(size)
    this.#mtimeNs = mtimeNs
  }

  /** @throws StoreError when there is no such file, or it is not a regular file, or it cannot be read */
  static async open(path: string): Promise<InputFile> {
    // A named pipe that nobody writes to would be waited for, in a thread that others wait for.
    const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)).catch(error => {
      throw toStoreError(error, `cannot read ${path}`)
    })
    try {
      return new InputFile(path, handle, await statsOf(handle, path))
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /**
   * Looks for what the content cannot change without.
   *
   * @throws FileChangedError when the size or the time of modification are not what they were when it was opened
   */
  async checkUnchanged(): Promise<void> {
    const { size, mtimeNs } = await statsOf(this.handle, this.path)
    if (Number(size) !== this.size || mtimeNs !== this.#mtimeNs) throw new FileChangedError(this.path)
  }

  /**
   * The bytes, 1 MiB at a time (the last piece may be shorter). The next piece is read while the last one is being used. To be
   * gone through once.
   *
   * @param allocate gives a buffer of at least so many bytes
   * @throws StoreError when it cannot be read, FileChangedError
   */
  async *pieces(
    signal?: AbortSignal,
    allocate: Allocate = ownBuffer
  ): AsyncGenerator<Uint8Array, void, undefined> {
    let reading: Promise<Uint8Array> | undefined
    try {
      for (let offset = 0; offset < this.size; ) {
        reading ??= this.#readPiece(offset, allocate)
        const piece = await reading
        offset += piece.length
        signal?.throwIfAborted()
        reading = offset < this.size ? this.#readPiece(offset, allocate) : undefined
        // It may fail while the piece before it is in use: it is awaited in its turn.
        reading?.catch(() => undefined)
        yield piece
      }
      await this.checkUnchanged()
    } finally {
      await reading?.catch(() => undefined)
    }
  }

  async close(): Promise<void> {
    await this.handle.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #readPiece(offset: number, allocate: Allocate): Promise<Uint8Array> {
    const length = Math.min(RUN_BYTES, this.size - offset)
    const piece = allocate(length).subarray(0, length)
    const isWhole = await readAll(this.handle, [piece], offset).catch(error => {
      throw toStoreError(error, `cannot read ${this.path}`)
    })
    if (!isWhole) throw new FileChangedError(this.path)
    return piece
  }
}

/**
 * The bytes of a file, 1 MiB at a time (the last piece may be shorter). The next piece is read while the last one is being
 * used. Each piece has a buffer of its own.
 *
 * @param allocate gives a buffer of at least so many bytes
 * @throws StoreError when there is no such file, or it is not a regular file, or it cannot be read
 * @throws FileChangedError when the file's size or time of modification are not the same before and after
 */
export async function* readInputFile(
  path: string,
  signal?: AbortSignal,
  allocate?: Allocate
): AsyncGenerator<Uint8Array, void, undefined> {
  signal?.throwIfAborted()
  await using file = await InputFile.open(path)
  yield* file.pieces(signal, allocate)
}

async function statsOf(file: FileHandle, path: string): Promise<BigIntStats> {
  const stats = await file.stat({ bigint: true })
  if (!stats.isFile()) throw new StoreError(`${path} is not a regular file; only those can be added`)
  return stats
}

function ownBuffer(bytes: number): Uint8Array {
  return new Uint8Array(bytes)
}
