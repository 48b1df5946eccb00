/**
 * Receives groups of a blob in a process of its own. Arguments: folder, size and seed of the blob, first group, end; and `unsaved` where
 * what is written is not to be saved a second later.
 * Says `written` when they are written, waits for a line, then closes, and says the blob's state or the error's code.
 */
import { once } from 'node:events'
import { mock } from 'node:test'
import { Decoder } from '../../../src/bao/index.ts'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import { LegacyFsStore } from '../../../src/store/legacy-fs/index.ts'
import { encodeAll, memorySource } from '../../helpers/bao.ts'
import { randomData } from '../../helpers/data.ts'

const [folder, ...numbers] = process.argv.slice(2)
const [size, seed, first, end] = numbers.map(Number) as [number, number, number, number]
const source = memorySource(randomData(size, seed))
const ranges = ChunkRanges.range(first * 16, end * 16)
const bytes = await encodeAll(source, ranges)

if (process.argv[7] === 'unsaved') mock.timers.enable({ apis: ['setTimeout'] })
const store = await LegacyFsStore.open(folder!)
const writer = await store.writer(source.hash, size)
const decoder = new Decoder(source.hash, size, ranges)
try {
  for (let at = 0; !decoder.isDone; ) {
    const verified = decoder.decode(bytes.subarray(at))
    at += verified.consumed
    await writer.write(verified)
  }
  console.log('written')
  await once(process.stdin, 'data')
  console.log((await writer.close()).state)
} catch (error) {
  console.log((error as { code?: string }).code)
}
await store.close()
process.exit()
