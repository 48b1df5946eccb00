/** One writer at a time: what it keeps, what it refuses. */
import assert from 'node:assert/strict'
import { GROUP_BYTES, GROUP_CHUNKS, RUN_BYTES } from '../../bao/constants.ts'
import { groupCount } from '../../bao/geometry.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import { EMPTY_HASH } from '../../hash.ts'
import {
  assertAbsent,
  assertComplete,
  assertLists,
  assertPartial,
  assertRejects,
  assertStatus,
  partial,
  receive
} from './checks.ts'
import { groups, INTERESTING_SIZES, proven, type Sample, sample } from './samples.ts'
import type { Suite } from './suite.ts'

export function writeTests({ describe, test }: Suite): void {
  describe('writer', () => {
    for (const size of INTERESTING_SIZES) {
      test(`completes a blob of ${size} bytes`, async store => {
        const blob = sample(size)
        assertStatus(await receive(store, blob, ChunkRanges.all), { state: 'complete', size })
        await assertComplete(store, blob)
      })
    }

    for (const seed of [1, 2, 3]) {
      test(`keeps groups that come in random order (${seed})`, async store => {
        const blob = sample(2 * RUN_BYTES + 3 * GROUP_BYTES + 5, seed)
        let held = ChunkRanges.empty
        for (const ranges of shuffledSpans(blob, seed)) {
          held = held.union(ranges)
          const status = await receive(store, blob, ranges)
          if (status.state === 'complete') break
          await assertPartial(store, blob, held)
        }
        await assertComplete(store, blob)
      })
    }

    test('counts groups as held as soon as they are written', async store => {
      const blob = sample(10 * GROUP_BYTES)
      await using writer = await store.writer(blob.hash, blob.size)
      let held = 0
      for await (const verified of proven(blob, ChunkRanges.all, { stepBytes: GROUP_BYTES + 100 })) {
        await writer.write(verified)
        held += verified.leaves.length
        if (held > 0 && held < 10) await assertPartial(store, blob, groups(0, held))
      }
    })

    test('has the buffers back when a write is over', async store => {
      const blob = sample(3 * RUN_BYTES)
      const writer = await store.writer(blob.hash, blob.size)
      for await (const verified of proven(blob, ChunkRanges.all, { stepBytes: 300_000 })) {
        const copies = verified.leaves.map(({ offset, bytes }) => ({ offset, bytes: bytes.slice() }))
        const parents = verified.parents.map(({ offset, bytes }) => ({ offset, bytes: bytes.slice() }))
        await writer.write({ ...verified, leaves: copies, parents })
        for (const { bytes } of [...copies, ...parents]) bytes.fill(0)
      }
      await writer.close()
      await assertComplete(store, blob)
    })

    test('takes groups that follow each other as one piece', async store => {
      const blob = sample(2 * RUN_BYTES + 3 * GROUP_BYTES + 5)
      for (const ranges of [groups(3, 40), groups(40, 132), groups(0, 3)]) {
        await using writer = await store.writer(blob.hash, blob.size)
        const steps = await Array.fromAsync(proven(blob, ranges))
        const offset = steps[0]!.leaves[0]!.offset
        const { bytes, offset: last } = steps.at(-1)!.leaves.at(-1)!
        await writer.write({
          consumed: steps.reduce((sum, { consumed }) => sum + consumed, 0),
          leaves: [{ offset, bytes: blob.data.slice(offset, last + bytes.length) }],
          parents: steps.flatMap(({ parents }) => parents)
        })
      }
      await assertComplete(store, blob)
    })

    test('takes writes that are not waited for one by one', async store => {
      const blob = sample(3 * RUN_BYTES)
      const writer = await store.writer(blob.hash, blob.size)
      const writes: Promise<void>[] = []
      for await (const verified of proven(blob, ChunkRanges.all, { stepBytes: 100_000 })) {
        writes.push(writer.write(verified))
      }
      await Promise.all(writes)
      await writer.close()
      await assertComplete(store, blob)
    })

    test('drops leaves that are not a whole group', async store => {
      const blob = sample(4 * GROUP_BYTES)
      // The end of group 0, all of group 1, the start of group 2.
      const ranges = ChunkRanges.range(5, 2 * GROUP_CHUNKS + 3)
      assertStatus(await receive(store, blob, ranges), partial(blob, groups(1)))
      await assertPartial(store, blob, groups(1))
    })

    test('leaves nothing behind when it got no whole group', async store => {
      const blob = sample(4 * GROUP_BYTES)
      assertStatus(await receive(store, blob, ChunkRanges.range(3, 5)), { state: 'absent' })
      await assertAbsent(store, blob.hash)
    })

    test('is of an absent blob until it has got a whole group', async store => {
      const blob = sample(4 * GROUP_BYTES)
      await using writer = await store.writer(blob.hash, blob.size)
      for await (const verified of proven(blob, ChunkRanges.range(3, 5))) await writer.write(verified)
      await assertAbsent(store, blob.hash)
      await assertLists(store, [])
    })

    test('takes no more once a write was aborted', async store => {
      const blob = sample(4 * GROUP_BYTES)
      await using writer = await store.writer(blob.hash, blob.size)
      const steps = await Array.fromAsync(proven(blob, ChunkRanges.all, { stepBytes: GROUP_BYTES + 128 }))
      const reason = new Error('no longer wanted')
      const isReason = (error: unknown) => error === reason
      await assert.rejects(writer.write(steps[0]!, { signal: AbortSignal.abort(reason) }), isReason)
      await assert.rejects(writer.write(steps[1]!), isReason)
      await assertAbsent(store, blob.hash)
    })

    test('leaves nothing behind when nothing was written', async store => {
      const blob = sample(4 * GROUP_BYTES)
      const writer = await store.writer(blob.hash, blob.size)
      assertStatus(await store.status(blob.hash), { state: 'absent' })
      assertStatus(await writer.close(), { state: 'absent' })
      await assertAbsent(store, blob.hash)
    })

    test('keeps what was held before', async store => {
      const blob = sample(6 * GROUP_BYTES)
      await receive(store, blob, groups(0, 2))
      assertStatus(await receive(store, blob, groups(4)), partial(blob, groups(0, 2).union(groups(4))))
      assertStatus(await receive(store, blob, groups(1, 4)), partial(blob, groups(0, 5)))
      await receive(store, blob, groups(5))
      await assertComplete(store, blob)
      await assertLists(store, [blob])
    })

    test('knows when the last group proves the size', async store => {
      const blob = sample(5 * GROUP_BYTES + 7)
      assertStatus(await receive(store, blob, groups(0)), partial(blob, groups(0), false))
      const last = ChunkRanges.range(5 * GROUP_CHUNKS, 5 * GROUP_CHUNKS + 1)
      assertStatus(await receive(store, blob, last), partial(blob, groups(0).union(last), true))
    })

    test('takes writes of a blob that is complete, and changes nothing', async store => {
      const blob = sample(3 * GROUP_BYTES)
      await store.addBytes(blob.data)
      assertStatus(await receive(store, blob, groups(1)), { state: 'complete', size: blob.size })
      await assertComplete(store, blob)
    })

    test('may be closed again, with the same answer, and takes nothing after that', async store => {
      const blob = sample(3 * GROUP_BYTES)
      const writer = await store.writer(blob.hash, blob.size)
      const [first] = await Array.fromAsync(proven(blob, groups(0)))
      await writer.write(first!)
      const status = await writer.close()
      assertStatus(await writer.close(), status)
      await assertRejects(writer.write(first!), 'ERR_HANDLE_CLOSED')
    })
  })

  describe('claimed sizes', () => {
    test('are refused when the blob is complete with another size', async store => {
      const blob = sample(3 * GROUP_BYTES)
      await store.addBytes(blob.data)
      await assertRejects(store.writer(blob.hash, blob.size + 1), 'ERR_SIZE_MISMATCH')
      await assertRejects(store.writer(EMPTY_HASH, 1), 'ERR_SIZE_MISMATCH')
      await assertComplete(store, blob)
    })

    test('are refused when another size is proven', async store => {
      const blob = sample(6 * GROUP_BYTES)
      await receive(store, blob, groups(5))
      await assertRejects(store.writer(blob.hash, 7 * GROUP_BYTES), 'ERR_SIZE_MISMATCH')
      await assertPartial(store, blob, groups(5))
    })

    test('that come with nothing to show for it discard nothing', async store => {
      const blob = sample(6 * GROUP_BYTES)
      await receive(store, blob, groups(0))
      const writer = await store.writer(blob.hash, 7 * GROUP_BYTES)
      await writer.close()
      await assertPartial(store, blob, groups(0))
    })

    test('discard what is held with another size that is not proven', async store => {
      const blob = sample(5 * GROUP_BYTES)
      const wrong = 6 * GROUP_BYTES
      await receive(store, blob, groups(0, 2), { size: wrong })
      const before: unknown = await store.status(blob.hash)
      assertStatus(before as never, {
        state: 'partial',
        size: wrong,
        isSizeProven: false,
        ranges: groups(0, 2)
      })
      await receive(store, blob, groups(3))
      await assertPartial(store, blob, groups(3))
      await receive(store, blob, ChunkRanges.all)
      await assertComplete(store, blob)
    })

    test('make a writer fail whose blob was discarded', async store => {
      const blob = sample(5 * GROUP_BYTES)
      const size = 6 * GROUP_BYTES
      const misled = await store.writer(blob.hash, size)
      const [first, second] = await Array.fromAsync(
        proven(blob, groups(0, 2), { size, stepBytes: GROUP_BYTES })
      )
      await misled.write(first!)
      await receive(store, blob, groups(0))
      const rest = second ?? first!
      await assertRejects(misled.write(rest), 'ERR_BLOB_DELETED')
      await misled.close()
      await assertPartial(store, blob, groups(0))
    })

    test('fail at the first write when another size has been proven meanwhile', async store => {
      const blob = sample(5 * GROUP_BYTES)
      const size = 6 * GROUP_BYTES
      const misled = await store.writer(blob.hash, size)
      await receive(store, blob, groups(4))
      const [first] = await Array.fromAsync(proven(blob, groups(0), { size }))
      await assertRejects(misled.write(first!), 'ERR_SIZE_MISMATCH')
      assert.equal((await misled.close()).state, 'partial')
      await assertPartial(store, blob, groups(4))
    })
  })
}

/** All groups of a blob, cut into spans of 1 to 20 groups, in an order that depends on the seed. */
function shuffledSpans(blob: Sample, seed: number): ChunkRanges[] {
  const count = groupCount(blob.size)
  const spans: { ranges: ChunkRanges; rank: number }[] = []
  let state = seed
  const random = () => {
    state = (state * 48_271) % 0x7fff_ffff
    return state
  }
  for (let first = 0; first < count; ) {
    const end = Math.min(count, first + 1 + (random() % 20))
    const wanted = groups(first, end).intersect(ChunkRanges.range(0, Math.ceil(blob.size / 1024)))
    spans.push({ ranges: wanted, rank: random() })
    first = end
  }
  return spans.sort((a, b) => a.rank - b.rank).map(({ ranges }) => ranges)
}
