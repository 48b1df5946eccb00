/** Reading a piece of an object into memory at hand. */
import { StorageError } from './storage/errors.ts'
import type { ObjectStorage } from './storage/index.ts'

/** Fills `target` with an object's bytes from `offset` on. @throws ObjectNotFoundError, StorageError */
export async function readInto(
  storage: ObjectStorage,
  key: string,
  offset: number,
  target: Uint8Array,
  signal?: AbortSignal
): Promise<void> {
  if (target.length === 0) return
  let filled = 0
  for await (const piece of storage.read({ key, offset, length: target.length }, { signal })) {
    target.set(piece, filled)
    filled += piece.length
  }
  if (filled !== target.length) {
    throw new StorageError(`${key} in ${storage.name} ends before byte ${offset + target.length}`)
  }
}
