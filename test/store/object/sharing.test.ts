/** Several stores on one storage, receiving the same blob. */
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import { MemoryStorage } from '../../../src/store/object/storage/memory/index.ts'
import type { ObjectStore } from '../../../src/store/object/store.ts'
import {
  blobOf,
  bytes,
  claimed,
  expectComplete,
  leftOvers,
  proven,
  receive,
  testDatabase,
  testStore,
  WatchedStorage
} from './arriving.ts'

const MIB = 1024 * 1024
const blob = blobOf(18 * MIB + 12_345)
const small = blobOf(3 * MIB + 1, 5)

async function writeBytes(store: ObjectStore, from: typeof blob, start: number, end: number) {
  const writer = await store.writer(from.hash, from.size)
  for await (const verified of proven(from, bytes(from, start, end))) await writer.write(verified)
  return writer
}

for (const isShared of [true, false]) {
  describe(`two stores with ${isShared ? 'one database' : 'a database each'}`, () => {
    async function two() {
      const inner = new MemoryStorage()
      const path = await testDatabase()
      const first = await testStore(new WatchedStorage(inner), path)
      const second = await testStore(new WatchedStorage(inner), isShared ? path : await testDatabase())
      return { inner, stores: [first, second] as const }
    }

    for (const from of [small, blob]) {
      it(`both receive a blob of ${from.size} bytes, at the same pace`, async () => {
        const { inner, stores } = await two()
        await Promise.all(stores.map((store, i) => receive(store, from, ChunkRanges.all, (4 + i) * 65_536)))
        for (const store of stores) await expectComplete(store, inner, from)
      })

      it(`one completes a blob of ${from.size} bytes while the other is at it`, async () => {
        const { inner, stores } = await two()
        const writer = await writeBytes(stores[0], from, 0, 2 * MIB)
        await receive(stores[1], from)
        for await (const verified of proven(from, bytes(from, 2 * MIB, from.size)))
          await writer.write(verified)
        expect(await writer.close()).toEqual({ state: 'complete', size: from.size })
        for (const store of stores) await expectComplete(store, inner, from)
      })

      it(`one completes a blob of ${from.size} bytes after the other has saved some of it`, async () => {
        const { inner, stores } = await two()
        await receive(stores[0], from, bytes(from, 0, 2 * MIB))
        await receive(stores[1], from)
        await receive(stores[0], from)
        for (const store of stores) await expectComplete(store, inner, from)
      })
    }

    it('each brings half of a part, saved, and one of them the rest', async () => {
      const { inner, stores } = await two()
      const [first, second] = stores
      const writers = [
        await writeBytes(first, blob, 0, 3 * MIB),
        await writeBytes(second, blob, 3 * MIB, 6 * MIB)
      ]
      await expect.poll(async () => (await leftOvers(inner, blob.hash)).length).toBe(2)
      // Both fill the part: one of them takes away what the other counts on.
      await Promise.all(
        writers.map(async (writer, i) => {
          const rest =
            i === 0
              ? bytes(blob, 3 * MIB, 10 * MIB)
              : bytes(blob, 0, 3 * MIB).union(bytes(blob, 6 * MIB, 10 * MIB))
          for await (const verified of proven(blob, rest)) await writer.write(verified)
        })
      )
      for (const writer of writers) await writer.close()
      for (const store of stores) expect(await claimed(store, blob)).toBe(10 * MIB)
      await receive(first, blob)
      await receive(second, blob)
      for (const store of stores) await expectComplete(store, inner, blob)
    })

    it('one puts together what the other has in fragments, and the other goes on', async () => {
      const { inner, stores } = await two()
      const [first, second] = stores
      await receive(first, blob, bytes(blob, 0, 3 * MIB))
      // The second one knows of the first one's fragment, and takes it away when it has the whole part.
      await receive(second, blob, bytes(blob, 3 * MIB, 9 * MIB))
      expect(await claimed(second, blob)).toBe(9 * MIB)
      expect(await claimed(first, blob)).toBeGreaterThanOrEqual(3 * MIB)
      await receive(first, blob, bytes(blob, 3 * MIB, blob.size))
      await expectComplete(first, inner, blob)
      await receive(second, blob)
      await expectComplete(second, inner, blob)
    })

    it('many times, in many orders, over slow storage', async () => {
      const inner = new MemoryStorage()
      const paths = [await testDatabase(), await testDatabase()]
      for (let round = 0; round < 6; round++) {
        const from = blobOf(9 * MIB + round * MIB + 1, 20 + round)
        let step = round + 1
        const stores = await Promise.all(
          [0, 1].map(async i => {
            const storage = new WatchedStorage(inner)
            storage.before = async () => {
              step = (step * 48_271) % 0x7fff_ffff
              await setTimeout(step % 4)
            }
            return await testStore(storage, paths[isShared ? 0 : i])
          })
        )
        await Promise.all(
          stores.map(async (store, i) => {
            const middle = Math.floor((step + i * 7919) % 9) * MIB
            await receive(store, from, bytes(from, middle, from.size))
            await receive(store, from)
          })
        )
        for (const store of stores) await expectComplete(store, inner, from)
        for (const store of stores) await store.close()
      }
    })
  })
}
