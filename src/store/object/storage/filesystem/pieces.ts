/** Reading an object's bytes piece by piece, the next one ahead. */
import type { FileHandle } from 'node:fs/promises'
import { readAll } from '../../../write-all.ts'
import { StorageError } from '../errors.ts'
import type { Slice } from '../index.ts'

/** Each piece is a new buffer, because it is the caller's: large enough to be worth the way to the file, and no larger. */
const PIECE_BYTES = 256 * 1024

/** @param storage its name, for messages */
export async function* pieces(
  file: FileHandle,
  { key, offset, length }: Slice,
  storage: string,
  signal: AbortSignal | undefined
): AsyncGenerator<Uint8Array, void, undefined> {
  const readAt = async (at: number) => {
    const piece = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, length - at))
    if (await readAll(file, [piece], offset + at)) return piece
    throw new StorageError(`${key} in ${storage} has become shorter while it was being read`)
  }
  let next = length > 0 ? readAt(0) : undefined
  for (let at = 0; next !== undefined; ) {
    const piece: Uint8Array = await next
    at += piece.length
    next = at < length ? readAt(at) : undefined
    // Awaited in its turn, or nobody's concern any more.
    next?.catch(() => undefined)
    signal?.throwIfAborted()
    yield piece
    signal?.throwIfAborted()
  }
}
