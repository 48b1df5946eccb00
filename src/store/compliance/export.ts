/** Exporting to files. */
import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { GROUP_BYTES, RUN_BYTES } from '../../bao/constants.ts'
import {
  assertAbsent,
  assertComplete,
  assertPartial,
  assertRejects,
  assertSameBytes,
  receive
} from './checks.ts'
import { groups, INTERESTING_SIZES, sample } from './samples.ts'
import { scratch } from './scratch.ts'
import type { Suite } from './suite.ts'

const OTHER_MODES = ['link', 'reflink'] as const

/** What all users of a file may do with it. */
const PERMISSIONS = 0o777

export function exportTests({ describe, test, capabilities }: Suite): void {
  describe('exportPath', () => {
    for (const size of INTERESTING_SIZES) {
      test(`copies ${size} bytes`, async store => {
        await using files = await scratch()
        const blob = sample(size)
        await store.addBytes(blob.data)
        await store.exportPath(blob.hash, files.path('out'))
        assertSameBytes(await readFile(files.path('out')), blob.data, 'the file')
        assert.deepEqual(await readdir(files.folder), ['out'])
        await assertComplete(store, blob)
      })
    }

    for (const size of [1000, 3 * RUN_BYTES + 5]) {
      test(`moves ${size} bytes`, async store => {
        await using files = await scratch()
        const blob = sample(size)
        await store.addBytes(blob.data)
        await store.exportPath(blob.hash, files.path('out'), { mode: 'move' })
        assertSameBytes(await readFile(files.path('out')), blob.data, 'the file')
        assert.deepEqual(await readdir(files.folder), ['out'])
        await assertAbsent(store, blob.hash)
      })
    }

    test('is independent of the store afterwards', async store => {
      await using files = await scratch()
      const blob = sample(100_000)
      await store.addBytes(blob.data)
      await store.exportPath(blob.hash, files.path('out'))
      await writeFile(files.path('out'), 'changed')
      await assertComplete(store, blob)
    })

    test('has nothing to export of absent and partial blobs', async store => {
      await using files = await scratch()
      const blob = sample(4 * GROUP_BYTES)
      await assertRejects(store.exportPath(blob.hash, files.path('out')), 'ERR_BLOB_NOT_FOUND')
      await receive(store, blob, groups(1))
      for (const mode of ['copy', 'move', ...OTHER_MODES] as const) {
        await assertRejects(store.exportPath(blob.hash, files.path('out'), { mode }), 'ERR_BLOB_NOT_FOUND')
      }
      assert.deepEqual(await readdir(files.folder), [])
      await assertPartial(store, blob, groups(1))
    })

    for (const mode of ['copy', 'move'] as const) {
      test(`overwrites nothing (${mode})`, async store => {
        await using files = await scratch()
        const blob = sample(40_000)
        await store.addBytes(blob.data)
        await writeFile(files.path('file'), 'mine')
        await mkdir(files.path('folder'))
        await symlink(files.path('nowhere'), files.path('link'))
        for (const name of ['file', 'folder', 'link']) {
          await assertRejects(store.exportPath(blob.hash, files.path(name), { mode }), 'ERR_TARGET_EXISTS')
        }
        assert.equal(await readFile(files.path('file'), 'utf8'), 'mine')
        assert.deepEqual((await readdir(files.folder)).sort(), ['file', 'folder', 'link'])
        await assertComplete(store, blob)
      })
    }

    if (capabilities.links === true) linkTests(test)
    else {
      test('says that it cannot link', async store => {
        await using files = await scratch()
        const blob = sample(40_000)
        await store.addBytes(blob.data)
        const linking = store.exportPath(blob.hash, files.path('out'), { mode: 'link' })
        await assertRejects(linking, 'ERR_UNSUPPORTED_EXPORT_MODE')
        assert.deepEqual(await readdir(files.folder), [])
        await assertComplete(store, blob)
      })
    }

    for (const size of [1000, 3 * RUN_BYTES + 5]) {
      test(`clones ${size} bytes, or says that it cannot`, async store => {
        await using files = await scratch()
        const blob = sample(size)
        await store.addBytes(blob.data)
        try {
          await store.exportPath(blob.hash, files.path('out'), { mode: 'reflink' })
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'ERR_UNSUPPORTED_EXPORT_MODE')
          assert.deepEqual(await readdir(files.folder), [])
          return
        }
        assertSameBytes(await readFile(files.path('out')), blob.data, 'the file')
        assert.deepEqual(await readdir(files.folder), ['out'])
        await writeFile(files.path('out'), 'changed')
        await assertComplete(store, blob)
      })
    }

    test('lets one of several exports to one place win', async store => {
      await using files = await scratch()
      const blobs = Array.from({ length: 5 }, (_, i) => sample(100_000, i))
      for (const { data } of blobs) await store.addBytes(data)
      const outcomes = await Promise.allSettled(
        blobs.map(({ hash }) => store.exportPath(hash, files.path('out')))
      )
      const winner = outcomes.findIndex(({ status }) => status === 'fulfilled')
      assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
      assertSameBytes(await readFile(files.path('out')), blobs[winner]!.data, 'the file')
      assert.deepEqual(await readdir(files.folder), ['out'])
    })

    test('says that the folder is not there', async store => {
      await using files = await scratch()
      const blob = sample(10)
      await store.addBytes(blob.data)
      await assertRejects(store.exportPath(blob.hash, files.path('no/folder/out')), 'ERR_STORE')
    })

    test('takes the longest name there can be', async store => {
      await using files = await scratch()
      const blob = sample(10)
      await store.addBytes(blob.data)
      const name = 'ü'.repeat(127)
      await store.exportPath(blob.hash, files.path(name))
      assert.deepEqual(await readdir(files.folder), [name])
    })

    const abortable =
      capabilities.links === true ? (['copy', 'move', 'link'] as const) : (['copy', 'move'] as const)
    for (const mode of abortable) {
      test(`leaves nothing when it is aborted half way (${mode})`, async store => {
        await using files = await scratch()
        const blob = sample(8 * RUN_BYTES)
        await store.addBytes(blob.data)
        const stop = new AbortController()
        const names: Promise<string[]>[] = []
        const exporting = store.exportPath(blob.hash, files.path('out'), {
          mode,
          signal: stop.signal,
          onProgress: () => {
            names.push(readdir(files.folder))
            stop.abort(new Error('enough'))
          }
        })
        await assert.rejects(exporting, { message: 'enough' })
        for (const seen of await Promise.all(names))
          assert.ok(!seen.includes('out'), 'the target was visible')
        assert.deepEqual(await readdir(files.folder), [])
        await assertComplete(store, blob)
      })
    }

    test('tells of progress, ending with all bytes', async store => {
      await using files = await scratch()
      const blob = sample(3 * RUN_BYTES + 5)
      await store.addBytes(blob.data)
      const reports: number[] = []
      await store.exportPath(blob.hash, files.path('out'), { onProgress: bytes => reports.push(bytes) })
      assert.equal(reports.at(-1), blob.size)
      assert.ok(reports.length <= 4, 'at most one report per MiB, and the last')
    })
  })
}

function linkTests(test: Suite['test']): void {
  for (const size of INTERESTING_SIZES) {
    test(`links ${size} bytes, read-only`, async store => {
      await using files = await scratch()
      const blob = sample(size)
      await store.addBytes(blob.data)
      for (const name of ['one', 'two']) {
        await store.exportPath(blob.hash, files.path(name), { mode: 'link' })
        assertSameBytes(await readFile(files.path(name)), blob.data, 'the file')
      }
      assert.deepEqual((await readdir(files.folder)).sort(), ['one', 'two'])
      await assertComplete(store, blob)
      if (size === 0) return
      const [one, two] = await Promise.all(['one', 'two'].map(name => stat(files.path(name))))
      assert.equal(one?.ino, two?.ino, 'both are one file')
      assert.equal(one!.mode & PERMISSIONS, 0o444)
    })
  }

  test('leaves a linked file as it is when the blob is deleted, moved, or added again', async store => {
    await using files = await scratch()
    const blob = sample(100_000)
    await store.addBytes(blob.data)
    await store.exportPath(blob.hash, files.path('linked'), { mode: 'link' })
    await store.exportPath(blob.hash, files.path('moved'), { mode: 'move' })
    await writeFile(files.path('moved'), 'changed')
    assertSameBytes(await readFile(files.path('linked')), blob.data, 'the file')
    await store.addBytes(blob.data)
    await assertComplete(store, blob)
    await store.delete(blob.hash)
    await receive(store, blob, groups(1))
    assertSameBytes(await readFile(files.path('linked')), blob.data, 'the file')
  })

  test('overwrites nothing (link)', async store => {
    await using files = await scratch()
    const blob = sample(40_000)
    await store.addBytes(blob.data)
    await writeFile(files.path('file'), 'mine')
    await symlink(files.path('nowhere'), files.path('link'))
    for (const name of ['file', 'link']) {
      await assertRejects(
        store.exportPath(blob.hash, files.path(name), { mode: 'link' }),
        'ERR_TARGET_EXISTS'
      )
    }
    assert.equal(await readFile(files.path('file'), 'utf8'), 'mine')
    assert.deepEqual((await readdir(files.folder)).sort(), ['file', 'link'])
  })
}
