/** Reads the status in front of a response. */
import type { Hash } from '../hash.ts'
import type { ByteReader } from './byte-reader.ts'
import { MAX_STATUS_MESSAGE_BYTES } from './constants.ts'
import { NotAvailableError, RefusedError } from './errors.ts'
import { tryDecodeStatus } from './status.ts'

/** A status, the time to wait, and a message with its length. */
const MAX_STATUS_BYTES = 1 + 4 + 2 + MAX_STATUS_MESSAGE_BYTES

/**
 * Reads the status, and no byte further when the response follows.
 *
 * @param about the blob that the response would begin with
 * @throws NotAvailableError, RefusedError when the status is another one than ok
 * @throws MalformedStatusError, UnknownStatusError
 */
export async function readStatus(
  reader: ByteReader,
  about: { readonly hash: Hash; readonly index: number } | undefined
): Promise<void> {
  const bytes = new Uint8Array(MAX_STATUS_BYTES)
  let length = await reader.readInto(bytes.subarray(0, 1), 1)
  let isEnd = length === 0
  for (;;) {
    const decoded = tryDecodeStatus(bytes.subarray(0, length), isEnd)
    if (decoded !== undefined) {
      const { status } = decoded
      if (status.type === 'ok') return
      if (status.type === 'not_found' && about !== undefined)
        throw new NotAvailableError(about.hash, about.index)
      throw new RefusedError(status)
    }
    const arrived = await reader.readInto(bytes.subarray(length), 1)
    length += arrived
    isEnd = arrived === 0
  }
}
