/**
 * Uses a store in every way, for ever: to be killed. Arguments: the folder, a seed. Says of each blob what is there of it, when that
 * outlasts a kill.
 */
import { Decoder, encode, hashBytes } from '../../../src/bao/index.ts'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import type { Hash } from '../../../src/hash.ts'
import { BlobDeletedError } from '../../../src/store/errors.ts'
import { LegacyFsStore } from '../../../src/store/legacy-fs/index.ts'
import { randomData } from '../../helpers/data.ts'

const [folder, seedText] = process.argv.slice(2)
let state = Number(seedText) + 1
const random = (below: number): number => {
  state = (state * 48_271) % 0x7fff_ffff
  return state % below
}

// Random content is expensive: a blob is a stretch of this, with its first bytes its own.
const pool = randomData(12 * 1024 * 1024, Number(seedText) + 1)

function randomBlob(): Uint8Array {
  const size = 1 + random([2000, 60_000, 900_000, 9_000_000][random(4)]!)
  const data = pool.slice(0, size)
  data.set(new Uint8Array(new Uint32Array([random(1e9)]).buffer).subarray(0, size))
  return data
}

/** @returns whether all of it was saved */
async function receive(
  store: LegacyFsStore,
  data: Uint8Array,
  hash: Hash,
  outboard: Uint8Array
): Promise<boolean> {
  const fill = (from: Uint8Array) => async (offset: number, target: Uint8Array) => {
    target.set(from.subarray(offset, offset + target.length))
  }
  const source = { size: data.length, readData: fill(data), readOutboard: fill(outboard) }
  const groups = Math.ceil(data.length / 16_384)
  let isSaved = true
  for (let part = 0; part < 4; part++) {
    const first = random(groups)
    const ranges =
      part === 3 ? ChunkRanges.all : ChunkRanges.range(first * 16, (first + 1 + random(groups)) * 16)
    const writer = await store.writer(hash, data.length)
    const decoder = new Decoder(hash, data.length, ranges)
    for await (const piece of encode(hash, source, ranges, { batchBytes: 65_536 })) {
      await writer.write(decoder.decode(piece))
    }
    if (random(5) > 0) await writer.close()
    else isSaved = false
    if (random(3) === 0) break
  }
  return isSaved
}

async function* streamOf(data: Uint8Array): AsyncGenerator<Uint8Array> {
  yield data.subarray(0, 70_000)
  yield data.subarray(70_000)
}

async function work(store: LegacyFsStore): Promise<void> {
  for (;;) {
    const data = randomBlob()
    const { hash, outboard } = hashBytes(data)
    const choice = random(10)
    let isSaved = true
    try {
      if (choice < 3) await store.addBytes(data)
      else if (choice < 4) await store.addStream(streamOf(data))
      else isSaved = await receive(store, data, hash, outboard)
      if (choice === 9) await store.delete(hash)
      if (choice === 8) await store.tags.set(`tag ${random(20)}`, { hash, format: 'raw' })
      if (isSaved) console.log((await store.status(hash)).state)
    } catch (error) {
      // Another process may delete what this one is writing.
      if (!(error instanceof BlobDeletedError)) throw error
    }
  }
}

const store = await LegacyFsStore.open(folder!)
await Promise.all([work(store), work(store), work(store)])
