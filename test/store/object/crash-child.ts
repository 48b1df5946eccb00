/**
 * Brings blobs into a store in a folder, for ever: to be killed. Arguments: the folder, a seed, `one` or `many`. Says with `one` how many
 * bytes of its blob have been written, first and after each write; with `many`, of each blob what is there of it, when that outlasts a kill.
 */
import { setTimeout } from 'node:timers/promises'
import { encodeVerified } from '../../../src/bao/encoder.ts'
import { roundToGroups } from '../../../src/bao/geometry.ts'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import { BlobDeletedError } from '../../../src/store/errors.ts'
import { memorySource } from '../../helpers/bao.ts'
import { randomData } from '../../helpers/data.ts'
import { crashBlob, openFolder } from './crashing.ts'

const [folder, seedText, kind] = process.argv.slice(2)
let state = Number(seedText) + 1
const random = (below: number): number => {
  state = (state * 48_271) % 0x7fff_ffff
  return state % below
}

// Random content is expensive: a blob is a stretch of this, with its first bytes its own.
const pool = randomData(20 * 1024 * 1024, Number(seedText) + 1)

function randomBlob(): Uint8Array {
  const size = 20_000 + random([60_000, 900_000, 9_000_000, 19_000_000][random(4)]!)
  const data = pool.slice(0, size)
  data.set(new Uint8Array(new Uint32Array([random(1e9)]).buffer))
  return data
}

const store = await openFolder(folder!)

async function many(): Promise<void> {
  for (;;) {
    const data = randomBlob()
    const source = memorySource(data)
    const chunks = Math.ceil(data.length / 1024)
    let isSaved = true
    try {
      for (let part = 0; part < 4; part++) {
        const first = random(chunks)
        const ranges =
          part === 3
            ? ChunkRanges.all
            : roundToGroups(ChunkRanges.range(first, Math.min(chunks, first + 1 + random(chunks))))
        const writer = await store.writer(source.hash, data.length)
        for await (const verified of encodeVerified(source.hash, source, ranges)) await writer.write(verified)
        if (random(5) > 0) await writer.close()
        else isSaved = false
        if (random(3) === 0) break
      }
      if (random(10) === 0) await store.delete(source.hash)
      if (isSaved) console.log((await store.status(source.hash)).state)
    } catch (error) {
      if (!(error instanceof BlobDeletedError)) throw error
    }
  }
}

async function one(): Promise<void> {
  const source = memorySource(crashBlob())
  const status = await store.status(source.hash)
  let written = status.state === 'partial' ? Number(status.ranges.boundaries[1]) * 1024 : 0
  console.log(written)
  const rest = ChunkRanges.range(written / 1024)
  const writer = await store.writer(source.hash, source.size)
  for await (const verified of encodeVerified(source.hash, source, rest)) {
    await writer.write(verified)
    for (const leaf of verified.leaves) written = leaf.offset + leaf.bytes.length
    console.log(written)
    // Time to be killed in.
    await setTimeout(20)
  }
  await writer.close()
  console.log('complete')
  await new Promise(() => undefined)
}

// Nothing else would keep the process alive.
setInterval(() => undefined, 1000)
if (kind === 'one') await one()
else await Promise.all([many(), many(), many()])
