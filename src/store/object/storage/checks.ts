/**
 * What every backend asks of its arguments. A folder or a Map could do without most of it, S3 cannot: a call that would fail
 * there fails everywhere, and is found by the tests of whoever makes it.
 */
import { ObjectTooShortError, StorageError } from './errors.ts'
import type { Slice } from './index.ts'
import { MAX_PARTS, MAX_PUT_BYTES, MIN_PART_BYTES } from './part-size.ts'

/** S3 has 1024 bytes for a key together with a backend's own prefix. */
const MAX_KEY_CHARS = 512

/** Most bytes of a file's name. */
const MAX_KEY_PART_CHARS = 255

const KEY_PART = /^[a-z0-9_-][a-z0-9._-]*$/

/** Whether this can stand between the slashes of a key. */
export function isKeyPart(name: string): boolean {
  return name.length <= MAX_KEY_PART_CHARS && KEY_PART.test(name)
}

/** @throws StorageError when this cannot be a key */
export function checkKey(key: string): void {
  if (key.length <= MAX_KEY_CHARS && key.split('/').every(isKeyPart)) return
  throw new StorageError(
    `${JSON.stringify(key.slice(0, MAX_KEY_CHARS))} cannot be the key of an object: use at most ${MAX_KEY_CHARS} of ` +
      `a-z, 0-9, ".", "_" and "-", and "/" between parts of 1 to ${MAX_KEY_PART_CHARS} that do not begin with a dot`
  )
}

/** @throws StorageError when these cannot be bytes of an object */
export function checkSlice({ key, offset, length }: Slice): void {
  checkKey(key)
  if (isCount(offset) && isCount(length) && isCount(offset + length)) return
  throw new StorageError(`cannot read ${length} bytes at ${offset} of ${key}: there can be no such bytes`)
}

/** @throws ObjectTooShortError when a slice goes beyond the end of its object, which has `size` bytes */
export function checkInside({ key, offset, length }: Slice, size: number, storage: string): void {
  if (offset + length <= size) return
  throw new ObjectTooShortError(
    `cannot read ${length} bytes at ${offset} of ${key} in ${storage}: it has ${size}`
  )
}

/** @returns how many bytes the pieces are. @throws StorageError when they are too many to put in one piece */
export function checkPut(key: string, pieces: readonly Uint8Array[]): number {
  checkKey(key)
  const size = bytesOf(pieces)
  if (size <= MAX_PUT_BYTES) return size
  throw new StorageError(
    `cannot put ${size} bytes as ${key}: above ${MAX_PUT_BYTES} bytes, upload them in parts`
  )
}

/** @throws StorageError when an upload cannot be begun so */
export function checkUpload(key: string, partBytes: number): void {
  checkKey(key)
  if (Number.isSafeInteger(partBytes) && partBytes >= MIN_PART_BYTES) return
  throw new StorageError(
    `cannot upload ${key} in parts of ${partBytes} bytes: use at least ${MIN_PART_BYTES}`
  )
}

/** @returns how many bytes the part has. @throws StorageError when it cannot be part `number` of an upload */
export function checkPart(
  key: string,
  number: number,
  pieces: readonly Uint8Array[],
  partBytes: number
): number {
  const size = bytesOf(pieces)
  checkPartBytes(key, number, size, partBytes)
  return size
}

/** @throws StorageError when the slice cannot be part `number` of an upload */
export function checkCopy(key: string, number: number, slice: Slice, partBytes: number): void {
  checkSlice(slice)
  if (slice.length === 0) throw new StorageError(`part ${number} of ${key} would be nothing of ${slice.key}`)
  checkPartBytes(key, number, slice.length, partBytes)
}

function checkPartBytes(key: string, number: number, size: number, partBytes: number): void {
  if (!isCount(number) || number >= MAX_PARTS) {
    throw new StorageError(
      `${key} cannot have a part ${number}: the parts are 0 to ${MAX_PARTS - 1}; use larger ones`
    )
  }
  if (size <= partBytes) return
  throw new StorageError(
    `part ${number} of ${key} has ${size} bytes: the upload was begun with parts of ${partBytes}`
  )
}

/**
 * What must hold before an upload is complete.
 *
 * @param parts bytes of each part that is there, by number
 * @throws StorageError when a part is missing or has another length, or when they are not `size` bytes together
 */
export function checkComplete(
  key: string,
  parts: ReadonlyMap<number, number>,
  partBytes: number,
  size: number
): void {
  let sum = 0
  for (let number = 0; number < parts.size; number++) {
    const bytes = parts.get(number)
    if (bytes === undefined) throw new StorageError(`cannot complete ${key}: part ${number} is missing`)
    if (bytes !== partBytes && number < parts.size - 1) {
      throw new StorageError(
        `cannot complete ${key}: part ${number} has ${bytes} bytes, where all but the last must have ${partBytes}`
      )
    }
    sum += bytes
  }
  if (sum === size) return
  throw new StorageError(`cannot complete ${key}: its parts are ${sum} bytes, where ${size} were announced`)
}

/** @throws StorageError when no object can be composed of these */
export function checkCompose(key: string, slices: readonly Slice[]): void {
  checkKey(key)
  if (slices.length === 0 || slices.length > MAX_PARTS) {
    throw new StorageError(`cannot compose ${key} of ${slices.length} slices: use 1 to ${MAX_PARTS}`)
  }
  for (const [i, slice] of slices.entries()) {
    checkSlice(slice)
    const least = i < slices.length - 1 ? MIN_PART_BYTES : 1
    if (slice.length >= least) continue
    throw new StorageError(
      `cannot compose ${key}: slice ${i}, of ${slice.key}, has ${slice.length} bytes, fewer than ${least}`
    )
  }
}

export function bytesOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0)
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}
