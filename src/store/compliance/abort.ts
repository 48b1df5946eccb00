/** Every method that waits heeds its signal. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { GROUP_BYTES, RUN_BYTES } from '../../bao/constants.ts'
import type { BlobStore } from '../index.ts'
import { assertComplete, assertLists, opened } from './checks.ts'
import { groups, proven, sample, streamOf } from './samples.ts'
import { scratch } from './scratch.ts'
import type { Suite } from './suite.ts'

export function abortTests({ describe, test, capabilities }: Suite): void {
  const reason = new Error('no longer wanted')
  const blob = sample(2 * RUN_BYTES)
  const isReason = (error: unknown) => error === reason

  describe('an aborted signal', () => {
    const signal = AbortSignal.abort(reason)
    const calls: Record<string, (store: BlobStore) => Promise<unknown>> = {
      status: store => store.status(blob.hash, { signal }),
      open: store => store.open(blob.hash, { signal }),
      writer: store => store.writer(blob.hash, blob.size, { signal }),
      addBytes: store => store.addBytes(sample(70_000).data, { signal }),
      addStream: store => store.addStream(streamOf(sample(70_000).data), { signal }),
      list: store => Array.fromAsync(store.list({ signal })),
      'tags.list': store => Array.fromAsync(store.tags.list({ signal })),
      readData: async store => {
        await using reader = await opened(store, blob.hash)
        await reader.readData(0, new Uint8Array(10), signal)
      },
      readOutboard: async store => {
        await using reader = await opened(store, blob.hash)
        await reader.readOutboard(0, new Uint8Array(64), signal)
      },
      write: async store => {
        const part = sample(4 * GROUP_BYTES, 9)
        await using writer = await store.writer(part.hash, part.size)
        for await (const verified of proven(part, groups(1))) await writer.write(verified, { signal })
      }
    }
    if (capabilities.paths) {
      calls.addPath = async store => {
        await using files = await scratch()
        await writeFile(files.path('in'), sample(70_000).data)
        await store.addPath(files.path('in'), { signal })
      }
      calls.exportPath = async store => {
        await using files = await scratch()
        await store.exportPath(blob.hash, files.path('out'), { signal })
      }
    }

    for (const [name, call] of Object.entries(calls)) {
      test(`keeps ${name} from doing anything`, async store => {
        await store.addBytes(blob.data)
        await store.tags.set('tag', { hash: blob.hash, format: 'raw' })
        await assert.rejects(call(store), isReason)
        await assertLists(store, [blob])
      })
    }
  })

  describe('a signal that aborts later', () => {
    test('ends the adding of a stream that has become silent, and nothing of it stays', async store => {
      const stop = new AbortController()
      let isTold = false
      const source = async function* () {
        yield* streamOf(blob.data)
        setTimeout(() => stop.abort(reason), 10)
        await new Promise(() => undefined)
      }
      const iterator = source()
      const adding = store.addStream(
        {
          [Symbol.asyncIterator]: () => ({
            next: () => iterator.next(),
            return: async () => {
              isTold = true
              return { done: true, value: undefined }
            }
          })
        },
        { signal: stop.signal }
      )
      await assert.rejects(adding, isReason)
      assert.ok(isTold, 'the source was not told to end')
      await assertLists(store, [])
    })

    test('ends the adding of a stream that never pauses', async store => {
      const stop = new AbortController()
      const source = async function* () {
        for (;;) yield blob.data.subarray(0, 100_000)
      }
      const adding = store.addStream(source(), {
        signal: stop.signal,
        onProgress: bytes => {
          if (bytes > 5 * RUN_BYTES) stop.abort(reason)
        }
      })
      await assert.rejects(adding, isReason)
      await assertLists(store, [])
    })

    if (capabilities.paths) {
      test('ends the adding of a file', async store => {
        await using files = await scratch()
        await writeFile(files.path('in'), sample(10 * RUN_BYTES).data)
        const stop = new AbortController()
        const adding = store.addPath(files.path('in'), {
          signal: stop.signal,
          onProgress: () => stop.abort(reason)
        })
        await assert.rejects(adding, isReason)
        await assertLists(store, [])
      })
    }

    test('ends a list', async store => {
      for (let i = 0; i < 5; i++) await store.addBytes(sample(100 + i).data)
      const stop = new AbortController()
      const listing = (async () => {
        for await (const _info of store.list({ signal: stop.signal })) stop.abort(reason)
      })()
      await assert.rejects(listing, isReason)
    })

    test('does not hinder the next call', async store => {
      const stop = new AbortController()
      await store.addBytes(blob.data, { signal: stop.signal })
      stop.abort(reason)
      await assertComplete(store, blob)
    })
  })
}
