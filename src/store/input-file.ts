/** Reading a file that is being added, and noticing when it changes meanwhile. */
import { type FileHandle, open } from 'node:fs/promises'
import { RUN_BYTES } from '../bao/constants.ts'
import { FileChangedError, StoreError } from './errors.ts'
import { toStoreError } from './fs-errors.ts'

type Allocate = (bytes: number) => Uint8Array

/**
 * For who is done with a piece before he asks for the next: two buffers take turns. New memory for all of a file costs more than
 * hashing it.
 */
export function takingTurns(): Allocate {
  const buffers: Uint8Array[] = []
  let turn = 0
  return bytes => {
    turn = 1 - turn
    if ((buffers[turn]?.length ?? 0) < bytes) buffers[turn] = new Uint8Array(bytes)
    return buffers[turn]!
  }
}

/** What a file's content cannot change without. */
interface FileState {
  readonly size: number
  readonly mtimeNs: bigint
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
  allocate: Allocate = bytes => new Uint8Array(bytes)
): AsyncGenerator<Uint8Array, void, undefined> {
  signal?.throwIfAborted()
  const file = await open(path).catch(error => {
    throw toStoreError(error, `cannot read ${path}`)
  })
  let reading: Promise<Uint8Array> | undefined
  try {
    const before = await stateOf(file, path)
    for (let offset = 0; offset < before.size; ) {
      reading ??= readPiece(file, path, offset, before.size, allocate)
      const piece = await reading
      offset += piece.length
      signal?.throwIfAborted()
      reading = offset < before.size ? readPiece(file, path, offset, before.size, allocate) : undefined
      // It may fail while the piece before it is in use: it is awaited in its turn.
      reading?.catch(() => undefined)
      yield piece
    }
    const after = await stateOf(file, path)
    if (after.size !== before.size || after.mtimeNs !== before.mtimeNs) throw new FileChangedError(path)
  } finally {
    await reading?.catch(() => undefined)
    await file.close()
  }
}

async function stateOf(file: FileHandle, path: string): Promise<FileState> {
  const stats = await file.stat({ bigint: true })
  if (!stats.isFile()) throw new StoreError(`${path} is not a regular file; only those can be added`)
  return { size: Number(stats.size), mtimeNs: stats.mtimeNs }
}

async function readPiece(
  file: FileHandle,
  path: string,
  offset: number,
  size: number,
  allocate: Allocate
): Promise<Uint8Array> {
  const length = Math.min(RUN_BYTES, size - offset)
  const piece = allocate(length).subarray(0, length)
  let filled = 0
  while (filled < piece.length) {
    const { bytesRead } = await file
      .read(piece, filled, piece.length - filled, offset + filled)
      .catch(error => {
        throw toStoreError(error, `cannot read ${path}`)
      })
    if (bytesRead === 0) throw new FileChangedError(path)
    filled += bytesRead
  }
  return piece
}
