/** A store that has been closed. */
import assert from 'node:assert/strict'
import { GROUP_BYTES, RUN_BYTES } from '../../bao/constants.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import type { BlobStore } from '../index.ts'
import { assertRejects, opened } from './checks.ts'
import { proven, sample, streamOf } from './samples.ts'
import { scratch } from './scratch.ts'
import type { Suite } from './suite.ts'

export function closeTests({ describe, test }: Suite): void {
  const blob = sample(8 * GROUP_BYTES)
  const { hash, size } = blob

  describe('a closed store', () => {
    const calls: Record<string, (store: BlobStore) => Promise<unknown>> = {
      status: store => store.status(hash),
      open: store => store.open(hash),
      writer: store => store.writer(hash, size),
      addBytes: store => store.addBytes(blob.data),
      addStream: store => store.addStream(streamOf(blob.data)),
      addPath: store => store.addPath('anything'),
      exportPath: async store => {
        await using files = await scratch()
        await store.exportPath(hash, files.path('out'))
      },
      list: store => Array.fromAsync(store.list()),
      delete: store => store.delete(hash),
      observe: store => Array.fromAsync(store.observe(hash)),
      'tags.set': store => store.tags.set('tag', { hash, format: 'raw' }),
      'tags.get': store => store.tags.get('tag'),
      'tags.list': store => Array.fromAsync(store.tags.list()),
      'tags.delete': store => store.tags.delete('tag')
    }
    for (const [name, call] of Object.entries(calls)) {
      test(`refuses ${name}`, async store => {
        await store.addBytes(blob.data)
        await store.close()
        await assertRejects(call(store), 'ERR_STORE_CLOSED')
      })
    }

    test('may be closed again', async store => {
      await store.close()
      await store.close()
    })

    test('has ended its readers', async store => {
      await store.addBytes(blob.data)
      const reader = await opened(store, hash)
      await store.close()
      await assert.rejects(reader.readData(0, new Uint8Array(1)))
      await reader.close()
    })

    test('has ended its writers, which can still be closed', async store => {
      const writer = await store.writer(hash, size)
      const steps = await Array.fromAsync(proven(blob, ChunkRanges.all, { stepBytes: GROUP_BYTES }))
      await writer.write(steps[0]!)
      await store.close()
      await assertRejects(writer.write(steps[1]!), 'ERR_STORE_CLOSED')
      await writer.close()
    })

    test('has ended its observers', async store => {
      const observing = Array.fromAsync(store.observe(hash))
      const ended = assertRejects(observing, 'ERR_STORE_CLOSED')
      await new Promise(resolve => setTimeout(resolve, 10))
      await store.close()
      await ended
    })

    test('has ended what was being added, also from a silent source', async store => {
      const source = async function* () {
        yield sample(2 * RUN_BYTES).data
        await new Promise(() => undefined)
      }
      const ended = assertRejects(store.addStream(source()), 'ERR_STORE_CLOSED')
      await new Promise(resolve => setTimeout(resolve, 10))
      await store.close()
      await ended
    })
  })
}
