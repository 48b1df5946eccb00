/** Makes objects out of others: on the server where it can do that, else through this process. */
import { ObjectNotFoundError, StorageError } from '../errors.ts'
import type { ObjectStorage, Slice } from '../index.ts'
import { MAX_PARTS, MIN_PART_BYTES } from '../part-size.ts'
import { putStream } from '../put-stream.ts'
import type { S3Client } from './client.ts'
import { COPY_PART_BYTES, MAX_COPY_BYTES, SIDE_REQUESTS } from './constants.ts'
import { failureInside, foreignAnswer, S3Failure } from './failure.ts'
import { makeObject } from './make-object.ts'
import { Multipart } from './multipart.ts'
import { statOnce } from './stat.ts'
import { hasElement } from './xml.ts'

/**
 * Puts slices one behind the other into an object.
 *
 * @throws as ObjectStorage's `compose`
 */
export async function composeOnServer(
  client: S3Client,
  key: string,
  slices: readonly Slice[],
  signal: AbortSignal
): Promise<void> {
  const parts = slices.flatMap(cutForCopy)
  if (parts.length > MAX_PARTS) {
    throw new StorageError(
      `cannot compose ${key}: copying takes ${parts.length} parts, and S3 has ${MAX_PARTS}`
    )
  }
  const size = slices.reduce((sum, { length }) => sum + length, 0)
  const multipart = await Multipart.begin(client, key, signal)
  // One that fails ends the others.
  const failing = new AbortController()
  const running = AbortSignal.any([failing.signal, signal])
  try {
    const rest = parts.entries()
    const lane = async () => {
      try {
        for (const [number, part] of rest) await multipart.copy(number, part, running)
      } catch (error) {
        failing.abort(error)
      }
    }
    await Promise.all(Array.from({ length: Math.min(SIDE_REQUESTS, parts.length) }, lane))
    running.throwIfAborted()
    await multipart.complete(size, 0, running)
  } catch (error) {
    await multipart.abort().catch(() => undefined)
    throw error
  }
}

/** Copies a whole object. @param size its bytes, which S3 can copy in one request. @throws as {@link composeOnServer} */
export async function copyOnServer(
  client: S3Client,
  from: string,
  to: string,
  size: number,
  signal: AbortSignal
): Promise<void> {
  const headers = { 'x-amz-copy-source': client.copySource(from) }
  await makeObject(client, to, size, signal, async () => {
    await client.run(`cannot copy ${from} to ${to} in`, { signal, key: from }, async signal => {
      const call = { method: 'PUT', key: to, headers, body: [], isWork: true } as const
      const { status, text } = await client.ask(call, signal)
      const failure = failureInside(status, text)
      if (failure !== undefined) throw failure
      if (!hasElement(text, 'CopyObjectResult'))
        throw foreignAnswer('the answer does not tell what was copied')
    })
  })
}

/** Does the same by reading and writing, for servers that cannot. */
export async function composeHere(
  storage: ObjectStorage,
  key: string,
  slices: readonly Slice[],
  signal: AbortSignal
): Promise<void> {
  const size = slices.reduce((sum, { length }) => sum + length, 0)
  const source = async function* () {
    for (const slice of slices) yield* storage.read(slice, { signal })
  }
  await putStream(storage, key, size, source(), { signal })
}

/** @returns how many bytes the object has. @throws ObjectNotFoundError */
export async function sizeOf(client: S3Client, key: string, signal: AbortSignal): Promise<number> {
  const info = await client.run(`cannot look at ${key} in`, { signal }, signal =>
    statOnce(client, key, signal)
  )
  if (info === undefined) throw new ObjectNotFoundError(key, client.name)
  return info.size
}

export function canCopyAtOnce(size: number): boolean {
  return size <= MAX_COPY_BYTES
}

/** Whether the error says that the server has no such call. */
export function isNotImplemented(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  if (!(cause instanceof S3Failure)) return false
  return cause.code === 'NotImplemented' || cause.status === 501 || cause.status === 405
}

/** Into pieces that one request each copies. None of them is too small for a part, if the slice was not. */
export function cutForCopy(slice: Slice): Slice[] {
  const { key, offset, length } = slice
  const count = Math.max(1, Math.ceil(length / COPY_PART_BYTES))
  const bytes = Math.max(Math.ceil(length / count), MIN_PART_BYTES)
  return Array.from({ length: count }, (_, i) => ({
    key,
    offset: offset + i * bytes,
    length: Math.min(bytes, length - i * bytes)
  }))
}
