/** Reads bytes of an object, and goes on where a connection broke. */
import { checkInside } from '../checks.ts'
import { ObjectTooShortError, StorageError } from '../errors.ts'
import type { Slice } from '../index.ts'
import type { Answer, S3Client } from './client.ts'
import { cutFailure, S3Failure } from './failure.ts'
import { statOnce } from './stat.ts'

/** @throws as ObjectStorage's `read` */
export async function* readObject(
  client: S3Client,
  slice: Slice,
  outer: AbortSignal | undefined
): AsyncGenerator<Uint8Array, void, undefined> {
  client.check(outer)
  const { key, offset, length } = slice
  const what = `cannot read ${key} from`
  if (length === 0) return await checkEmpty(client, slice, outer)
  const signal = client.signalWith(outer)
  const tries = client.tries(signal)
  for (let done = 0; done < length; ) {
    let answer: Answer | undefined
    try {
      answer = await get(client, { key, offset: offset + done, length: length - done }, signal)
      while (done < length) {
        let piece = await answer.body.next()
        if (piece === undefined) throw cutFailure('the answer ended early')
        piece = piece.subarray(0, length - done)
        done += piece.length
        tries.progressed()
        yield piece
        signal.throwIfAborted()
      }
    } catch (failure) {
      try {
        await tries.failed(failure)
      } catch (error) {
        throw client.explained(error, what, signal, key)
      }
    } finally {
      answer?.body.close()
    }
  }
}

/** Nothing can be asked for with a range: but the object has to be there, and so long. */
async function checkEmpty(client: S3Client, slice: Slice, signal: AbortSignal | undefined): Promise<void> {
  const { key } = slice
  await client.run(`cannot read ${key} from`, { signal, key }, async signal => {
    const info = await statOnce(client, key, signal)
    if (info === undefined)
      throw new S3Failure('answer', 'NoSuchKey (404)', { code: 'NoSuchKey', status: 404 })
    checkInside(slice, info.size, client.name)
  })
}

/** Asks for the slice, once. The body of the answer begins with it. */
async function get(client: S3Client, slice: Slice, signal: AbortSignal): Promise<Answer> {
  const { key, offset, length } = slice
  const range = `bytes=${offset}-${offset + length - 1}`
  let answer: Answer
  try {
    answer = await client.get(key, range, signal)
  } catch (failure) {
    if (!(failure instanceof S3Failure) || failure.code !== 'InvalidRange') throw failure
    throw new ObjectTooShortError(
      `cannot read ${length} bytes at ${offset} of ${key} in ${client.name}: it ends before`,
      { cause: failure }
    )
  }
  try {
    checkAnswer(client.name, slice, answer)
    return answer
  } catch (error) {
    answer.body.close()
    throw error
  }
}

function checkAnswer(name: string, slice: Slice, { status, headers }: Answer): void {
  const { key, offset } = slice
  if (status === 206) {
    const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers['content-range'] ?? '')
    if (range === null || Number(range[1]) !== offset) {
      throw new StorageError(
        `cannot read ${key} from ${name}: bytes from ${offset} on were asked for, and the server sends others`
      )
    }
    if (range[3] !== '*') checkInside(slice, Number(range[3]), name)
    else checkInside(slice, Number(range[2]) + 1, name)
    return
  }
  // Ranges may be ignored. From the start on it is the same; to skip what comes before could take for ever.
  const size = Number(headers['content-length'])
  if (offset > 0) {
    throw new StorageError(
      `cannot read ${key} from ${name}: the server, or a proxy before it, ignores which bytes are asked for`
    )
  }
  if (Number.isSafeInteger(size)) checkInside(slice, size, name)
}
