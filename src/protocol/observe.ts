/** What an Observe request is answered with: what is held of a blob, now and whenever it changes. */
import { ChunkRanges } from '../bao/ranges.ts'
import type { Hash } from '../hash.ts'
import type { BlobStatus, BlobStore, WaitOptions } from '../store/index.ts'
import { ByteReader } from './byte-reader.ts'
import { MAX_OBSERVE_ITEM_BYTES } from './constants.ts'
import {
  encodeObserveItem,
  MalformedObserveItemError,
  type ObserveItem,
  tryDecodeObserveItem
} from './observe-item.ts'
import { readStatus } from './read-status.ts'
import type { ReceiveOptions } from './receive.ts'
import { MAX_VARINT_BYTES } from './varint.ts'

/** The response: never ends by itself, but with the consumer or the signal. */
export async function* observeItems(
  store: BlobStore,
  hash: Hash,
  options: WaitOptions = {}
): AsyncGenerator<Uint8Array, void, undefined> {
  let before: ChunkRanges | undefined
  for await (const status of store.observe(hash, options)) {
    const { size, ranges } = toItem(status)
    const changed = before === undefined ? ranges : ranges.symmetricDifference(before)
    if (before !== undefined && changed.isEmpty) continue
    before = ranges
    yield encodeObserveItem({ size, ranges: changed })
  }
}

/** Reads such a response: yields all that the provider has, each time it tells of more. */
export async function* receiveObserved(
  hash: Hash,
  response: AsyncIterable<Uint8Array>,
  options: Pick<ReceiveOptions, 'hasStatus'> = {}
): AsyncGenerator<ObserveItem, void, undefined> {
  const reader = new ByteReader(response)
  let bytes = new Uint8Array(1024)
  let length = 0
  let ranges: ChunkRanges | undefined
  try {
    if (options.hasStatus) await readStatus(reader, { hash, index: 0 })
    for (;;) {
      const decoded = tryDecodeObserveItem(bytes.subarray(0, length))
      if (decoded !== undefined) {
        bytes.copyWithin(0, decoded.length, length)
        length -= decoded.length
        const { item } = decoded
        ranges = ranges === undefined ? item.ranges : ranges.union(item.ranges)
        yield { size: item.size, ranges }
        continue
      }
      if (length === bytes.length) bytes = grown(bytes)
      const arrived = await reader.readInto(bytes.subarray(length), 1)
      if (arrived === 0) {
        if (length > 0) throw new MalformedObserveItemError('the response ends within an item', length)
        return
      }
      length += arrived
    }
  } finally {
    await reader.stop()
  }
}

function grown(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.min(bytes.length * 4, MAX_OBSERVE_ITEM_BYTES + MAX_VARINT_BYTES))
  larger.set(bytes)
  return larger
}

function toItem(status: BlobStatus): ObserveItem {
  switch (status.state) {
    case 'absent':
      return { size: 0, ranges: ChunkRanges.empty }
    case 'partial':
      return { size: status.size, ranges: status.ranges }
    case 'complete':
      return { size: status.size, ranges: ChunkRanges.all }
  }
}
