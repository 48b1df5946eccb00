/** Leases, and collections of garbage. */
import assert from 'node:assert/strict'
import type { Hash } from '../../hash.ts'
import type { BlobStore, Root, Sweep } from '../index.ts'
import { pause } from '../waiting.ts'
import { assertAbsent, assertComplete, assertPartial, assertRejects, receive } from './checks.ts'
import { groups, proven, type Sample, sample, streamOf } from './samples.ts'
import type { Suite } from './suite.ts'

const NOTHING: ReadonlySet<string> = new Set()

export function keepingTests({ describe, test, capabilities }: Suite): void {
  const raw = ({ hash }: Sample) => ({ hash, format: 'raw' }) as const
  const one = sample(1_000, 11)
  const two = sample(100_000, 12)

  describe('a collection of garbage', () => {
    test('is told what tags and leases protect', async store => {
      await using lease = await store.lease()
      await lease.protect(raw(one), { hash: two.hash, format: 'hash_seq' })
      await store.tags.set('b', raw(two))
      await store.tags.set('a', { hash: one.hash, format: 'hash_seq' })
      await using sweep = await store.sweep()
      assert.deepEqual(
        await rootsOf(sweep),
        sorted([`${one.hash} hash_seq a`, `${one.hash} raw`, `${two.hash} hash_seq`, `${two.hash} raw b`])
      )
    })

    test('is not told of leases that were released, and of tags that were deleted', async store => {
      const lease = await store.lease()
      await lease.protect(raw(one))
      await store.tags.set('a', raw(one))
      await lease.release()
      await lease.release()
      await store.tags.delete('a')
      await using sweep = await store.sweep()
      assert.deepEqual(await rootsOf(sweep), [])
    })

    test('deletes what it is told to', async store => {
      for (const blob of [one, two]) await store.addBytes(blob.data)
      await receive(store, sample(300_000, 13), groups(0, 2))
      const sweep = await store.sweep()
      await rootsOf(sweep)
      const hashes = [two.hash, sample(300_000, 13).hash, sample(5, 14).hash]
      const gone = await sweep.delete(hashes, async () => NOTHING)
      assert.deepEqual(sorted(gone), sorted(hashes.slice(0, 2)), 'what was not there is not gone')
      await sweep.close()
      await sweep.close()
      await assertComplete(store, one)
      await assertAbsent(store, two.hash)
      await assertAbsent(store, sample(300_000, 13).hash)
      // As if it had never been there.
      await store.addBytes(two.data)
      await assertComplete(store, two)
    })

    for (const [what, protect] of [
      ['a lease', async (store: BlobStore) => await (await store.lease()).protect(raw(one))],
      [
        'a lease that is released again',
        async (store: BlobStore) => {
          await using lease = await store.lease()
          await lease.protect(raw(one))
          await store.tags.set('t', raw(one))
        }
      ],
      ['a tag', async (store: BlobStore) => await store.tags.set('t', raw(one))],
      [
        'a tag that is renamed',
        async (store: BlobStore) => {
          await store.tags.set('t', raw(one))
          await store.tags.rename('t', 'u')
        }
      ],
      [
        'an add with a lease',
        async (store: BlobStore) => {
          await store.addBytes(one.data, { lease: await store.lease() })
        }
      ]
    ] as const) {
      test(`is told before it deletes of ${what} that came meanwhile, and keeps it`, async store => {
        for (const blob of [one, two]) await store.addBytes(blob.data)
        await using sweep = await store.sweep()
        await rootsOf(sweep)
        await protect(store)
        const told: string[] = []
        const gone = await sweep.delete([one.hash, two.hash], async fresh => {
          told.push(...fresh.map(({ hash }) => hash.toString()))
          return new Set(fresh.map(({ hash }) => hash.toString()))
        })
        assert.ok(told.includes(one.hash.toString()))
        assert.deepEqual(sorted(gone), [two.hash.toString()])
        await assertComplete(store, one)
        await assertAbsent(store, two.hash)
      })
    }

    /** As somebody else sees it: what a collection has been told once it is not told again. */
    async function untilProtected(store: BlobStore, hash: Hash): Promise<void> {
      await using sweep = await store.sweep()
      while (!(await rootsOf(sweep)).some(root => root.startsWith(hash.toString()))) await pause(5)
    }

    test('is told of what comes while it is told', async store => {
      for (const blob of [one, two]) await store.addBytes(blob.data)
      await using sweep = await store.sweep()
      await rootsOf(sweep)
      await store.tags.set('first', raw(sample(7)))
      let second: Promise<void> | undefined
      const gone = await sweep.delete([one.hash, two.hash], async fresh => {
        if (fresh.some(({ hash }) => hash.equals(sample(7).hash))) {
          second = store.tags.set('second', raw(one))
          // On a busy disk this takes its time; and a store may have it wait, once it protects the blob, until the deletion is over.
          await Promise.race([second, untilProtected(store, one.hash)])
        }
        return new Set(fresh.map(({ hash }) => hash.toString()))
      })
      await second
      assert.deepEqual(sorted(gone), [two.hash.toString()])
      await assertComplete(store, one)
    })

    test('leaves a blob that is being written', async store => {
      const writer = await store.writer(two.hash, two.size)
      for await (const verified of proven(two, groups(0, 2))) await writer.write(verified)
      await using sweep = await store.sweep()
      await rootsOf(sweep)
      assert.deepEqual(await sweep.delete([two.hash], async () => NOTHING), [])
      await assertPartial(store, two, groups(0, 2))
      await writer.close()
      assert.deepEqual(sorted(await sweep.delete([two.hash], async () => NOTHING)), [two.hash.toString()])
      await assertAbsent(store, two.hash)
    })

    test('leaves readers what they read', async store => {
      await store.addBytes(two.data)
      await using reader = await store.open(two.hash)
      assert.ok(reader)
      await using sweep = await store.sweep()
      await rootsOf(sweep)
      await sweep.delete([two.hash], async () => NOTHING)
      await assertAbsent(store, two.hash)
      const bytes = new Uint8Array(two.size)
      await reader.readData(0, bytes)
      assert.deepEqual(bytes, two.data)
    })

    test('goes on beside another one', async store => {
      for (const blob of [one, two]) await store.addBytes(blob.data)
      await using first = await store.sweep()
      await using second = await store.sweep()
      await rootsOf(first)
      await rootsOf(second)
      assert.equal((await first.delete([one.hash, two.hash], async () => NOTHING)).length, 2)
      assert.equal((await second.delete([one.hash, two.hash], async () => NOTHING)).length, 0)
    })
  })

  describe('a lease', () => {
    test('protects what is added with it', async store => {
      await using lease = await store.lease()
      await store.addBytes(one.data, { lease })
      await store.addStream(streamOf(two.data), { lease })
      await using sweep = await store.sweep()
      assert.deepEqual(await rootsOf(sweep), sorted([`${one.hash} raw`, `${two.hash} raw`]))
    })

    test('protects nothing any more when it was released', async store => {
      const lease = await store.lease()
      await lease.protect(raw(one))
      await lease.release()
      await assertRejects(lease.protect(raw(one)), 'ERR_LEASE_LOST')
    })

    test('is one of many', async store => {
      const leases = await Promise.all(Array.from({ length: 50 }, () => store.lease()))
      await Promise.all(leases.map((lease, i) => lease.protect(raw(sample(i + 1, 20)))))
      await Promise.all(leases.filter((_, i) => i % 2 === 0).map(lease => lease.release()))
      await using sweep = await store.sweep()
      assert.equal((await rootsOf(sweep)).length, 25)
      await Promise.all(leases.map(lease => lease.release()))
    })

    if (capabilities.persistent) {
      test('ends when the store is closed', async (store, reopen) => {
        const lease = await store.lease()
        await lease.protect(raw(one))
        const again = await reopen()
        await lease.release()
        await using sweep = await again.sweep()
        assert.deepEqual(await rootsOf(sweep), [])
      })
    }
  })

  describe('usage', () => {
    test('counts what is held', async store => {
      assert.deepEqual(await store.usage({ isFresh: true }), { bytes: 0, partialBytes: 0 })
      for (const blob of [one, two, one]) await store.addBytes(blob.data)
      await receive(store, sample(300_000, 13), groups(0, 2))
      const partialBytes = 2 * 16_384
      assert.deepEqual(await store.usage({ isFresh: true }), {
        bytes: one.size + two.size + partialBytes,
        partialBytes
      })
      await store.delete(two.hash)
      assert.deepEqual(await store.usage({ isFresh: true }), { bytes: one.size + partialBytes, partialBytes })
      await receive(store, sample(300_000, 13), groups(2, 19))
      assert.deepEqual(await store.usage({ isFresh: true }), { bytes: one.size + 300_000, partialBytes: 0 })
      await store.delete(sample(300_000, 13).hash)
      await store.delete(one.hash)
      assert.deepEqual(await store.usage({ isFresh: true }), { bytes: 0, partialBytes: 0 })
    })
  })
}

async function rootsOf(sweep: Sweep): Promise<string[]> {
  return describeRoots(await Array.fromAsync(sweep.roots()))
}

function describeRoots(roots: readonly Root[]): string[] {
  return sorted(
    roots.map(({ hash, format, tag }) => [hash, format, ...(tag === undefined ? [] : [tag])].join(' '))
  )
}

function sorted(items: readonly (string | Hash)[]): string[] {
  return items.map(String).sort()
}
