/** Writing to files, and reading from them, without leaving anything out. */
import type { FileHandle } from 'node:fs/promises'

/** Most buffers in one call: the system's own limit (IOV_MAX) is 1024. */
const MAX_BUFFERS = 512

/** Writes all of `pieces`, one behind the other, from `offset` on. The system may take less at once than it is given. */
export async function writeAll(
  file: FileHandle,
  pieces: readonly Uint8Array[],
  offset: number
): Promise<void> {
  let rest = pieces
  let at = offset
  while (rest.length > 0) {
    const batch = rest.slice(0, MAX_BUFFERS)
    const { bytesWritten } = await file.writev(batch, at)
    at += bytesWritten
    rest = [...dropBytes(batch, bytesWritten), ...rest.slice(MAX_BUFFERS)]
  }
}

/** What is left of `pieces` behind the first `bytes` bytes. */
export function dropBytes(pieces: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let left = bytes
  let i = 0
  while (i < pieces.length && left >= pieces[i]!.length) left -= pieces[i++]!.length
  const rest = pieces.slice(i)
  if (left > 0) rest[0] = rest[0]!.subarray(left)
  return rest
}

/** The first `bytes` bytes of `pieces`. */
export function firstBytes(pieces: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const first: Uint8Array[] = []
  let left = bytes
  for (const piece of pieces) {
    if (left <= 0) break
    first.push(piece.subarray(0, left))
    left -= piece.length
  }
  return first
}

/** Fills all of `targets`, one behind the other, from `offset` on. @returns whether the file was long enough */
export async function readAll(
  file: FileHandle,
  targets: readonly Uint8Array[],
  offset: number
): Promise<boolean> {
  let rest = targets
  let at = offset
  while (rest.length > 0) {
    const batch = rest.slice(0, MAX_BUFFERS)
    const [only] = batch
    const { bytesRead } =
      batch.length === 1 ? await file.read(only!, 0, only!.length, at) : await file.readv(batch, at)
    if (bytesRead === 0) return false
    at += bytesRead
    rest = [...dropBytes(batch, bytesRead), ...rest.slice(MAX_BUFFERS)]
  }
  return true
}
