/** Readers. */
import assert from 'node:assert/strict'
import { GROUP_BYTES, RUN_BYTES } from '../../bao/constants.ts'
import { encode } from '../../bao/encoder.ts'
import { outboardBytes } from '../../bao/geometry.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import { assertEncodes, assertRejects, assertSameBytes, opened, readGroups, receive } from './checks.ts'
import { groups, INTERESTING_SIZES, sample } from './samples.ts'
import type { Suite } from './suite.ts'

export function readTests({ describe, test }: Suite): void {
  describe('open', () => {
    test('has no reader of a blob that is absent', async store => {
      assert.equal(await store.open(sample(5).hash), undefined)
    })

    for (const size of INTERESTING_SIZES) {
      test(`encodes any ranges of ${size} bytes as they are encoded from memory`, async store => {
        const blob = sample(size)
        await store.addBytes(blob.data)
        await using reader = await opened(store, blob.hash)
        const middle = Math.floor(size / 2048)
        for (const ranges of [
          ChunkRanges.range(0, 1),
          ChunkRanges.last,
          ChunkRanges.range(middle, middle + 1),
          ChunkRanges.range(middle),
          ChunkRanges.fromBoundaries([1, 3, middle + 20, middle + 37]),
          ChunkRanges.all
        ]) {
          await assertEncodes(reader, blob, ranges)
        }
      })
    }

    test('reads at random', async store => {
      const blob = sample(2 * RUN_BYTES + 777)
      await store.addBytes(blob.data)
      await using reader = await opened(store, blob.hash)
      const spans = Array.from(
        { length: 40 },
        (_, i) => [(i * 104_729) % blob.size, (i * 7919) % 50_000] as const
      )
      await Promise.all(
        spans.map(async ([offset, wanted]) => {
          const target = new Uint8Array(Math.min(wanted, blob.size - offset))
          await reader.readData(offset, target)
          assertSameBytes(target, blob.data.subarray(offset, offset + target.length), `data at ${offset}`)
        })
      )
    })

    test('reads to several places at once, where it can', async store => {
      const blob = sample(RUN_BYTES + 777)
      await store.addBytes(blob.data)
      await using reader = await opened(store, blob.hash)
      if (reader.readDataInto === undefined) return
      for (const offset of [0, 5, GROUP_BYTES, RUN_BYTES]) {
        const target = new Uint8Array(Math.min(blob.size - offset, 600 * 100))
        const cuts = [0, 1, 100, 100, 777, target.length].filter(cut => cut <= target.length)
        const places = cuts.slice(1).map((end, i) => target.subarray(cuts[i], end))
        await reader.readDataInto(offset, places)
        assertSameBytes(target, blob.data.subarray(offset, offset + target.length), `data at ${offset}`)
      }
      await assert.rejects(reader.readDataInto(blob.size - 4, [new Uint8Array(4), new Uint8Array(1)]))
      await assert.rejects(reader.readDataInto(0, [new Uint8Array(1)], AbortSignal.abort()))
    })

    test('rejects what reaches beyond the end, of data and outboard', async store => {
      const blob = sample(2 * GROUP_BYTES + 5)
      await store.addBytes(blob.data)
      await using reader = await opened(store, blob.hash)
      await assert.rejects(reader.readData(blob.size - 4, new Uint8Array(5)))
      await assert.rejects(reader.readData(blob.size, new Uint8Array(1)))
      await assert.rejects(reader.readOutboard(outboardBytes(blob.size) - 63, new Uint8Array(64)))
      await reader.readData(blob.size - 5, new Uint8Array(5))
      await reader.readOutboard(outboardBytes(blob.size) - 64, new Uint8Array(64))
    })

    test('holds of a partial blob what was held when it was opened', async store => {
      const blob = sample(6 * GROUP_BYTES)
      await receive(store, blob, groups(1, 3))
      await using reader = await opened(store, blob.hash)
      await receive(store, blob, groups(4))
      assert.equal(reader.held?.toString(), groups(1, 3).toString())
      await assertEncodes(reader, blob, groups(1, 3))
      await assertRejects(Array.fromAsync(encode(blob.hash, reader, groups(2, 5))), 'ERR_MISSING_CHUNKS')
    })

    test('goes on when the blob is completed', async store => {
      const blob = sample(6 * GROUP_BYTES)
      await receive(store, blob, groups(1, 3))
      await using reader = await opened(store, blob.hash)
      await receive(store, blob, ChunkRanges.all)
      assertSameBytes(
        await readGroups(reader, 1, 3),
        blob.data.subarray(GROUP_BYTES, 3 * GROUP_BYTES),
        'groups 1 and 2'
      )
    })

    for (const state of ['complete', 'partial'] as const) {
      test(`goes on when the ${state} blob is deleted`, async store => {
        const blob = sample(2 * RUN_BYTES)
        const ranges = state === 'complete' ? ChunkRanges.all : groups(3, 90)
        await receive(store, blob, ranges)
        await using reader = await opened(store, blob.hash)
        assert.equal(await store.delete(blob.hash), true)
        await assertEncodes(reader, blob, ranges)
      })
    }

    test('is one of several readers, each closed by itself', async store => {
      const blob = sample(100_000)
      await store.addBytes(blob.data)
      const first = await opened(store, blob.hash)
      await using second = await opened(store, blob.hash)
      await first.close()
      await assert.rejects(first.readData(0, new Uint8Array(1)))
      await assertEncodes(second, blob, ChunkRanges.all)
    })

    test('may be closed again', async store => {
      await store.addBytes(sample(5).data)
      const reader = await opened(store, sample(5).hash)
      await reader.close()
      await reader.close()
    })
  })
}
