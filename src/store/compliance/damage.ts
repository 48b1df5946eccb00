/** What becomes of a blob of which some bytes have turned out to be wrong. */
import assert from 'node:assert/strict'
import { GROUP_BYTES, RUN_BYTES } from '../../bao/constants.ts'
import { groupCount } from '../../bao/geometry.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import { wholeRange } from '../status.ts'
import {
  assertAbsent,
  assertComplete,
  assertPartial,
  assertRejects,
  assertStatus,
  listed,
  opened,
  receive
} from './checks.ts'
import { groups, type Sample, sample } from './samples.ts'
import { scratch } from './scratch.ts'
import type { Suite } from './suite.ts'

/** Which groups of a blob are wrong. */
const DAMAGES: Readonly<Record<string, (count: number) => number[]>> = {
  'the first group': () => [0],
  'a group in the middle': count => [count >> 1],
  'the last group': count => [count - 1],
  'three groups': count => [1, count >> 1, count - 2],
  'every other group': count => Array.from({ length: count >> 1 }, (_, i) => 2 * i + 1)
}

const SIZES = [2 * GROUP_BYTES + 1, 100_000, 3 * RUN_BYTES + 5 * GROUP_BYTES + 7]

export function damageTests({ describe, test, damage, capabilities }: Suite): void {
  describe('a blob that is damaged', () => {
    for (const size of SIZES) {
      for (const [what, choose] of Object.entries(DAMAGES)) {
        test(`loses ${what} of ${size} bytes and nothing else, and is whole when that has come again`, async (store, reopen) => {
          const blob = sample(size)
          await store.addBytes(blob.data)
          const numbers = choose(groupCount(size))
          for (const group of numbers) await damage(store, blob.hash, wrongByteOf(blob, group))
          const wrong = chunksOf(blob, numbers)
          const right = wholeRange(size).subtract(wrong)
          const status = await store.reportDamage(blob.hash)
          assertStatus(status, await store.status(blob.hash))
          await assertPartial(store, blob, right)
          assert.equal((await listed(store)).get(blob.hash.toString())?.status.state, 'partial')
          const kept = capabilities.persistent ? await reopen() : store
          await assertPartial(kept, blob, right)
          // Nothing is left to be found.
          assertStatus(await kept.reportDamage(blob.hash), status)
          assertStatus(await receive(kept, blob, wrong), { state: 'complete', size })
          await assertComplete(kept, blob)
          assertStatus(await kept.reportDamage(blob.hash), { state: 'complete', size })
        })
      }
    }

    test('is not exported until it is whole again', async store => {
      if (!capabilities.paths) return
      await using folder = await scratch()
      const blob = sample(100_000)
      await store.addBytes(blob.data)
      await damage(store, blob.hash, 50_000)
      await assertRejects(store.exportPath(blob.hash, folder.path('a')), 'ERR_CORRUPT_SOURCE')
      await assertPartial(store, blob, wholeRange(blob.size).subtract(groups(3)))
      await assert.rejects(store.exportPath(blob.hash, folder.path('a')), {
        code: 'ERR_BLOB_NOT_FOUND',
        message: /is not complete/
      })
      await receive(store, blob, groups(3))
      await store.exportPath(blob.hash, folder.path('a'))
    })

    test('is absent when nothing of it is right', async store => {
      const blob = sample(GROUP_BYTES)
      await store.addBytes(blob.data)
      await damage(store, blob.hash, 100)
      assertStatus(await store.reportDamage(blob.hash), { state: 'absent' })
      await assertAbsent(store, blob.hash)
      await store.addBytes(blob.data)
      await assertComplete(store, blob)
    })

    test('is whole again when it is added', async store => {
      const blob = sample(5 * GROUP_BYTES)
      await store.addBytes(blob.data)
      await damage(store, blob.hash, 0)
      await store.reportDamage(blob.hash)
      await store.addBytes(blob.data)
      await assertComplete(store, blob)
    })

    test('can be deleted', async store => {
      const blob = sample(5 * GROUP_BYTES)
      await store.addBytes(blob.data)
      await damage(store, blob.hash, 0)
      await store.reportDamage(blob.hash)
      assert.equal(await store.delete(blob.hash), true)
      await assertAbsent(store, blob.hash)
    })

    test('is looked at once for all who tell of it at the same time', async store => {
      const blob = sample(RUN_BYTES)
      await store.addBytes(blob.data)
      await damage(store, blob.hash, 5 * GROUP_BYTES)
      const statuses = await Promise.all(Array.from({ length: 5 }, () => store.reportDamage(blob.hash)))
      for (const status of statuses) assertStatus(status, await store.status(blob.hash))
      await assertPartial(store, blob, wholeRange(blob.size).subtract(groups(5)))
    })

    test('and partial claims no more what is wrong of it', async (store, reopen) => {
      const blob = sample(20 * GROUP_BYTES)
      await receive(store, blob, groups(2, 12))
      await damage(store, blob.hash, 7 * GROUP_BYTES + 5)
      const status = await store.reportDamage(blob.hash)
      const kept = capabilities.persistent ? await reopen() : store
      assertStatus(await kept.status(blob.hash), status)
      // A store may lose more than is wrong: it keeps groups together.
      if (status.state === 'partial') {
        assert.ok(status.ranges.intersect(groups(7)).isEmpty)
        await assertPartial(kept, blob, status.ranges)
      }
      await receive(kept, blob, ChunkRanges.all)
      await assertComplete(kept, blob)
    })

    test('goes on for those who write it', async store => {
      const blob = sample(20 * GROUP_BYTES)
      await store.addBytes(blob.data)
      await damage(store, blob.hash, 3 * GROUP_BYTES)
      await store.reportDamage(blob.hash)
      await using reader = await opened(store, blob.hash)
      assert.equal(reader.held?.contains(3 * 16), false)
      await Promise.all([receive(store, blob, groups(3)), receive(store, blob, groups(3))])
      await assertComplete(store, blob)
    })
  })
}

function wrongByteOf({ size }: Sample, group: number): number {
  return Math.min(group * GROUP_BYTES + 5000, size - 1)
}

function chunksOf({ size }: Sample, numbers: readonly number[]): ChunkRanges {
  const all = numbers.reduce((ranges, group) => ranges.union(groups(group)), ChunkRanges.empty)
  return all.intersect(wholeRange(size))
}
