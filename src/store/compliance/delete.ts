/** Deleting. */
import assert from 'node:assert/strict'
import { GROUP_BYTES, RUN_BYTES } from '../../bao/constants.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import {
  assertAbsent,
  assertComplete,
  assertLists,
  assertPartial,
  assertRejects,
  assertStatus,
  receive
} from './checks.ts'
import { groups, proven, sample } from './samples.ts'
import type { Suite } from './suite.ts'

export function deleteTests({ describe, test }: Suite): void {
  describe('delete', () => {
    test('says whether there was anything', async store => {
      const blob = sample(50_000)
      assert.equal(await store.delete(blob.hash), false)
      await store.addBytes(blob.data)
      assert.equal(await store.delete(blob.hash), true)
      assert.equal(await store.delete(blob.hash), false)
      await assertAbsent(store, blob.hash)
    })

    test('forgets a partial blob', async store => {
      const blob = sample(8 * GROUP_BYTES)
      await receive(store, blob, groups(2, 4))
      assert.equal(await store.delete(blob.hash), true)
      await assertAbsent(store, blob.hash)
      await receive(store, blob, groups(6))
      await assertPartial(store, blob, groups(6))
    })

    test('leaves other blobs alone', async store => {
      const blobs = [sample(1000), sample(20_000), sample(RUN_BYTES)]
      for (const { data } of blobs) await store.addBytes(data)
      await store.delete(blobs[1]!.hash)
      await assertLists(store, [blobs[0]!, blobs[2]!])
      await assertComplete(store, blobs[0]!)
      await assertComplete(store, blobs[2]!)
    })

    test('leaves a blob that can be added again', async store => {
      const blob = sample(50_000)
      for (let i = 0; i < 3; i++) {
        await store.addBytes(blob.data)
        await assertComplete(store, blob)
        await store.delete(blob.hash)
        await assertAbsent(store, blob.hash)
      }
    })

    test('makes open writers fail, and nothing of theirs comes back', async store => {
      const blob = sample(8 * GROUP_BYTES)
      const writer = await store.writer(blob.hash, blob.size)
      const steps = await Array.fromAsync(proven(blob, ChunkRanges.all, { stepBytes: 2 * GROUP_BYTES }))
      await writer.write(steps[0]!)
      assert.equal(await store.delete(blob.hash), true)
      await assertRejects(writer.write(steps[1]!), 'ERR_BLOB_DELETED')
      assertStatus(await writer.close(), { state: 'absent' })
      await assertAbsent(store, blob.hash)
    })

    test('makes them fail also when somebody has begun anew', async store => {
      const blob = sample(8 * GROUP_BYTES)
      const writer = await store.writer(blob.hash, blob.size)
      const steps = await Array.fromAsync(proven(blob, ChunkRanges.all, { stepBytes: 2 * GROUP_BYTES }))
      await writer.write(steps[0]!)
      await store.delete(blob.hash)
      await receive(store, blob, groups(7))
      await assertRejects(writer.write(steps[1]!), 'ERR_BLOB_DELETED')
      await writer.close()
      await assertPartial(store, blob, groups(7))
    })

    test('may come in the middle of a write', async store => {
      const blob = sample(3 * RUN_BYTES)
      const writer = await store.writer(blob.hash, blob.size)
      let deleting: Promise<boolean> | undefined
      const writing = (async () => {
        let writes = 0
        for await (const verified of proven(blob, ChunkRanges.all, { stepBytes: 50_000 })) {
          const write = writer.write(verified)
          if (++writes > 5) deleting ??= store.delete(blob.hash)
          await write
        }
      })()
      await assertRejects(writing, 'ERR_BLOB_DELETED')
      assert.equal(await deleting, true)
      await writer.close()
      await assertAbsent(store, blob.hash)
    })
  })
}
