/** Adding bytes, streams and files. */
import assert from 'node:assert/strict'
import { appendFileSync, truncateSync, writeFileSync } from 'node:fs'
import { utimes, writeFile } from 'node:fs/promises'
import { RUN_BYTES } from '../../bao/constants.ts'
import { EMPTY_HASH } from '../../hash.ts'
import type { AddOptions, AddResult, BlobStore } from '../index.ts'
import {
  assertAbsent,
  assertComplete,
  assertLists,
  assertPartial,
  assertRejects,
  assertStatus,
  receive
} from './checks.ts'
import { groups, INTERESTING_SIZES, type Sample, sample, streamOf } from './samples.ts'
import { scratch } from './scratch.ts'
import type { Suite } from './suite.ts'

type Add = (store: BlobStore, blob: Sample, options?: AddOptions) => Promise<AddResult>

const addBytes: Add = (store, blob, options) => store.addBytes(blob.data, options)
const addStream: Add = (store, blob, options) => store.addStream(streamOf(blob.data), options)
const addPath: Add = async (store, blob, options) => {
  await using files = await scratch()
  await writeFile(files.path('blob'), blob.data)
  return await store.addPath(files.path('blob'), options)
}

export function addTests({ describe, test, capabilities }: Suite): void {
  const ways: [string, Add][] = [
    ['addBytes', addBytes],
    ['addStream', addStream]
  ]
  if (capabilities.paths) ways.push(['addPath', addPath])

  for (const [name, add] of ways) {
    describe(name, () => {
      for (const size of INTERESTING_SIZES) {
        test(`adds ${size} bytes`, async store => {
          const blob = sample(size)
          const added = await add(store, blob)
          assert.ok(added.hash.equals(blob.hash))
          assert.equal(added.size, size)
          await assertComplete(store, blob)
        })
      }

      test('adds the same blob again', async store => {
        const blob = sample(100_000)
        for (let i = 0; i < 3; i++) assert.ok((await add(store, blob)).hash.equals(blob.hash))
        await assertComplete(store, blob)
        await assertLists(store, [blob])
      })

      test('adds the same blob many times at once', async store => {
        const blob = sample(100_000)
        const added = await Promise.all(Array.from({ length: 20 }, () => add(store, blob)))
        assert.ok(added.every(({ hash }) => hash.equals(blob.hash)))
        await assertComplete(store, blob)
        await assertLists(store, [blob])
      })

      test('adds many blobs at once', async store => {
        const blobs = Array.from({ length: 50 }, (_, i) => sample(i * 1500 + 1, i))
        await Promise.all(blobs.map(blob => add(store, blob)))
        await assertLists(store, blobs)
        for (const blob of blobs) await assertComplete(store, blob)
      })

      test('completes a partial blob', async store => {
        const blob = sample(100_000)
        await receive(store, blob, groups(1, 3))
        await assertPartial(store, blob, groups(1, 3))
        await add(store, blob)
        await assertComplete(store, blob)
        await assertLists(store, [blob])
      })

      test('replaces a partial blob of another size that is not proven', async store => {
        const blob = sample(5 * 16_384)
        await receive(store, blob, groups(0), { size: 6 * 16_384 })
        await add(store, blob)
        await assertComplete(store, blob)
      })

      test('tells of progress, ending with all bytes', async store => {
        const blob = sample(3 * RUN_BYTES + 5)
        const reports: number[] = []
        await add(store, blob, { onProgress: bytes => reports.push(bytes) })
        assert.equal(reports.at(-1), blob.size)
        assert.deepEqual(
          reports,
          reports.toSorted((a, b) => a - b)
        )
        assert.ok(reports.length <= 4, 'at most one report per MiB, and the last')
      })
    })
  }

  describe('addBytes', () => {
    test('takes a copy', async store => {
      const blob = sample(40_000)
      const bytes = blob.data.slice()
      const adding = store.addBytes(bytes)
      await adding
      bytes.fill(0)
      await assertComplete(store, blob)
    })
  })

  describe('addStream', () => {
    for (const pieceBytes of [1, 1000, 16_384, 3 * RUN_BYTES]) {
      test(`takes pieces of ${pieceBytes} bytes`, async store => {
        const blob = sample(pieceBytes === 1 ? 20_000 : 2 * RUN_BYTES + 100)
        await store.addStream(streamOf(blob.data, pieceBytes))
        await assertComplete(store, blob)
      })
    }

    test('takes pieces that the source uses again for the next', async store => {
      const blob = sample(3 * RUN_BYTES + 12_345)
      const source = async function* () {
        const buffer = new Uint8Array(50_000)
        for (let at = 0; at < blob.size; at += buffer.length) {
          const piece = blob.data.subarray(at, at + buffer.length)
          buffer.set(piece)
          yield buffer.subarray(0, piece.length)
        }
      }
      await store.addStream(source())
      await assertComplete(store, blob)
    })

    test('takes a stream of empty pieces for the empty blob', async store => {
      const source = async function* () {
        yield new Uint8Array(0)
        yield new Uint8Array(0)
      }
      const { hash, size } = await store.addStream(source())
      assert.ok(hash.equals(EMPTY_HASH))
      assert.equal(size, 0)
    })

    for (const size of [0, 1000, 2 * RUN_BYTES + 5]) {
      test(`keeps nothing of a stream that fails after ${size} bytes`, async store => {
        const blob = sample(size)
        const failure = new Error('the source is broken')
        const source = async function* () {
          yield* streamOf(blob.data)
          throw failure
        }
        await assert.rejects(store.addStream(source()), error => error === failure)
        if (size > 0) await assertAbsent(store, blob.hash)
        await assertLists(store, [])
      })
    }
  })

  if (capabilities.paths) addPathTests({ describe, test })

  describe('the empty blob', () => {
    test('is complete in a store that nobody has added anything to', async store => {
      assertStatus(await store.status(EMPTY_HASH), { state: 'complete', size: 0 })
      await assertComplete(store, sample(0))
    })

    test('takes no room: it is not listed, nor can it be deleted', async store => {
      await store.addBytes(new Uint8Array(0))
      await assertLists(store, [])
      assert.equal(await store.delete(EMPTY_HASH), false)
      await assertComplete(store, sample(0))
    })
  })
}

function addPathTests({ describe, test }: Pick<Suite, 'describe' | 'test'>): void {
  describe('addPath', () => {
    test('takes a copy', async store => {
      await using files = await scratch()
      const blob = sample(100_000)
      await writeFile(files.path('blob'), blob.data)
      await store.addPath(files.path('blob'))
      await writeFile(files.path('blob'), 'something else')
      await assertComplete(store, blob)
    })

    for (const [what, change] of [
      ['grows', (path: string) => appendFileSync(path, 'more')],
      ['is cut off', (path: string) => truncateSync(path, 7 * RUN_BYTES)],
      ['gets other content', (path: string) => writeFileSync(path, 'other', { flag: 'r+' })]
    ] as const) {
      test(`notices that the file ${what} while it is read, and keeps nothing`, async store => {
        await using files = await scratch()
        const path = files.path('blob')
        await writeFile(path, sample(8 * RUN_BYTES).data)
        // Clocks of files are coarse: a change right after the file was made might not show.
        await utimes(path, 1, 1)
        let isChanged = false
        const adding = store.addPath(path, {
          onProgress: () => {
            if (!isChanged) change(path)
            isChanged = true
          }
        })
        await assertRejects(adding, 'ERR_FILE_CHANGED')
        await assertLists(store, [])
      })
    }

    test('says that there is no such file, or that it is a folder', async store => {
      await using files = await scratch()
      await assertRejects(store.addPath(files.path('nothing')), 'ERR_STORE')
      await assertRejects(store.addPath(files.folder), 'ERR_STORE')
      await assertLists(store, [])
    })
  })
}
