/** One push request on its stream: sends the data, and listens for the answer all the while. */
import { ByteReader } from '../protocol/byte-reader.ts'
import { readStatus } from '../protocol/read-status.ts'
import { CLOSE_GRACE_MS } from './constants.ts'
import type { Exchange } from './getter.ts'
import { StreamIdleTimeoutError, StreamNotReadError, StreamResetError } from './stream-errors.ts'

export interface SendPushOptions {
  /** How long the peer may take to answer when all has been sent, in ms. */
  readonly idleTimeoutMs: number
  /** Told how many bytes of the data have been sent. */
  readonly onSent: (bytes: number) => void
}

/**
 * Sends the data of a push. Resolves when the peer has answered: with a status, that everything is stored; without one, that
 * it has closed its side, which proves nothing.
 *
 * @throws RefusedError as soon as the peer refuses, however much is left to be sent
 * @throws StreamResetError, StreamIdleTimeoutError, MalformedStatusError, UnknownStatusError; what `data` throws
 */
export async function sendPush(
  { response, hasStatus, writer }: Exchange,
  data: AsyncIterable<Uint8Array>,
  { idleTimeoutMs, onSent }: SendPushOptions
): Promise<void> {
  let timer: NodeJS.Timeout | number | undefined
  let expire: (error: Error) => void = () => undefined
  const overdue = new Promise<never>((_, reject) => {
    expire = reject
  })
  const send = async (): Promise<void> => {
    const before = writer.bytesWritten
    for await (const piece of data) {
      await writer.write(piece)
      onSent(writer.bytesWritten - before)
    }
    await writer.end()
    timer = setTimeout(() => expire(new StreamIdleTimeoutError(idleTimeoutMs, 'read', 0)), idleTimeoutMs)
  }
  const answered = readAnswer(response, hasStatus)
  const sent = send()
  try {
    await Promise.race([Promise.all([answered, sent]), overdue])
  } catch (error) {
    const reason = isCutOff(error) ? await refusalBehind(answered, error) : error
    writer.abort(reason instanceof Error ? reason : new Error(String(reason)))
    // Nothing may read on when this has ended. How it fails, now that the stream is gone, is of no interest.
    await Promise.allSettled([answered, sent])
    throw reason
  } finally {
    clearTimeout(timer)
  }
}

async function readAnswer(response: AsyncIterable<Uint8Array>, hasStatus: boolean): Promise<void> {
  const pieces = response[Symbol.asyncIterator]()
  const first = await pieces.next()
  if (!hasStatus) {
    // There should be no byte. Those that come mean nothing.
    for (let next = first; !next.done; ) next = await pieces.next()
    return
  }
  // A node that is stopped closes its streams as if all were well.
  if (first.done) throw new StreamResetError('connection-lost', 'read', 0)
  await readStatus(new ByteReader({ [Symbol.asyncIterator]: () => pieces }, first.value), undefined)
}

function isCutOff(error: unknown): boolean {
  return error instanceof StreamResetError || error instanceof StreamNotReadError
}

/** A peer that refuses says so and resets the stream: the reset may be noticed first. */
async function refusalBehind(answered: Promise<void>, error: unknown): Promise<unknown> {
  let timer: NodeJS.Timeout | number | undefined
  const nothing = new Promise<unknown>(resolve => {
    timer = setTimeout(() => resolve(error), CLOSE_GRACE_MS)
  })
  const refusal = answered.then(
    () => error,
    (reason: unknown) => reason
  )
  try {
    return await Promise.race([refusal, nothing])
  } finally {
    clearTimeout(timer)
  }
}
