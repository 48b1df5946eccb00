/** Listing. */
import assert from 'node:assert/strict'
import { GROUP_BYTES } from '../../bao/constants.ts'
import { assertStatus, listed, partial, receive } from './checks.ts'
import { groups, proven, sample } from './samples.ts'
import type { Suite } from './suite.ts'

export function listTests({ describe, test }: Suite): void {
  describe('list', () => {
    test('of a new store is empty', async store => {
      assert.deepEqual(await Array.fromAsync(store.list()), [])
    })

    test('has complete and partial blobs with their status', async store => {
      const small = sample(100)
      const large = sample(200_000)
      const part = sample(8 * GROUP_BYTES)
      await store.addBytes(small.data)
      await store.addBytes(large.data)
      await receive(store, part, groups(2, 4))
      const infos = await listed(store)
      assert.equal(infos.size, 3)
      assertStatus(infos.get(small.hash.toString())!.status, { state: 'complete', size: 100 })
      assertStatus(infos.get(large.hash.toString())!.status, { state: 'complete', size: 200_000 })
      assertStatus(infos.get(part.hash.toString())!.status, partial(part, groups(2, 4)))
    })

    test('has a blob that is being written, once', async store => {
      const part = sample(8 * GROUP_BYTES)
      await receive(store, part, groups(0, 4))
      await using _writer = await store.writer(part.hash, part.size)
      assert.equal((await listed(store)).size, 1)
    })

    test('goes on while blobs come and go, and misses none that stays', async store => {
      const staying = Array.from({ length: 30 }, (_, i) => sample(500 + i, i))
      const going = Array.from({ length: 30 }, (_, i) => sample(5000 + i, i))
      for (const { data } of [...staying, ...going]) await store.addBytes(data)
      const seen = new Set<string>()
      let step = 0
      for await (const { hash } of store.list()) {
        seen.add(hash.toString())
        const gone = going[step]
        if (gone !== undefined) await store.delete(gone.hash)
        await store.addBytes(sample(9000 + step, step).data)
        if (++step > 200) break
      }
      for (const { hash } of staying) assert.ok(seen.has(hash.toString()), `${hash} was not listed`)
    })

    test('tells the status of many as that of each', async store => {
      const held = [sample(100), sample(200_000), sample(0)]
      for (const { data } of held) await store.addBytes(data)
      const part = sample(8 * GROUP_BYTES)
      await receive(store, part, groups(2, 4))
      const arriving = sample(9 * GROUP_BYTES)
      await using writer = await store.writer(arriving.hash, arriving.size)
      for await (const verified of proven(arriving, groups(0, 3))) await writer.write(verified)
      const absent = Array.from({ length: 100 }, (_, i) => sample(300 + i, i))
      const all = [...absent.slice(0, 50), ...held, part, arriving, ...absent.slice(50), part]
      const hashes = all.map(({ hash }) => hash)
      const told = (await store.statusOfMany?.(hashes)) ?? []
      for (const [i, status] of told.entries()) assertStatus(status, await store.status(hashes[i]!))
      if (store.statusOfMany !== undefined) assert.equal(told.length, hashes.length)
    })

    test('may be left early', async store => {
      for (let i = 0; i < 5; i++) await store.addBytes(sample(100 + i).data)
      for await (const _info of store.list()) break
      assert.equal((await listed(store)).size, 5)
    })
  })
}
