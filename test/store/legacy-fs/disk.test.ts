/** Disks that are full, or read-only. Needs to mount a file system of its own: root, and Linux. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import { LegacyFsStore } from '../../../src/store/legacy-fs/index.ts'
import { FileWriter } from '../../../src/store/legacy-fs/small/file-writer.ts'
import {
  encodeHeader,
  HEADER_BYTES,
  recordBytes,
  writeRecord
} from '../../../src/store/legacy-fs/small/journal-format.ts'
import { endOwner, newOwner } from '../../../src/store/owners.ts'
import { bootId } from '../../../src/store/processes.ts'
import {
  groups,
  readClaimed,
  receive,
  type SampleBlob,
  sampleBlob,
  startReceiving,
  testFolder
} from './support.ts'

const MIB = 1024 * 1024

const mounted: string[] = []

/** @returns a folder on a disk of 8 MiB; undefined when we may not mount */
function smallDisk(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'small-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', folder], { stdio: 'pipe' })
  } catch {
    rmSync(folder, { recursive: true })
    return undefined
  }
  mounted.push(folder)
  return folder
}

/** @returns a folder on an XFS of its own; undefined when we cannot have that */
function cloningDisk(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'cloning-disk-'))
  const image = `${folder}.img`
  try {
    writeFileSync(image, '')
    truncateSync(image, 320 * MIB)
    execFileSync('mkfs.xfs', ['-q', '-m', 'reflink=1', image], { stdio: 'pipe' })
    execFileSync('mount', ['-o', 'loop', image, folder], { stdio: 'pipe' })
  } catch {
    rmSync(folder, { recursive: true })
    return undefined
  } finally {
    rmSync(image)
  }
  mounted.push(folder)
  return folder
}

/** Leaves no room on a disk. @returns the file to remove */
function fill(folder: string): string {
  const full = join(folder, 'full')
  try {
    for (;;) writeFileSync(full, Buffer.alloc(4096), { flag: 'a' })
  } catch {
    return full
  }
}

/** As in a journal. */
function recordsOf(samples: readonly SampleBlob[]): Buffer<ArrayBuffer> {
  const records = Buffer.alloc(samples.reduce((sum, { data }) => sum + recordBytes(data), 0))
  let at = 0
  for (const { hash, data } of samples) at = writeRecord(records, at, hash.bytes, data)
  return records
}

afterAll(() => {
  for (const folder of mounted) {
    execFileSync('umount', [folder])
    rmSync(folder, { recursive: true })
  }
})

const canMount = smallDisk() !== undefined

const clonable = cloningDisk()

describe.skipIf(clonable === undefined)('a disk that can clone (skipped where XFS cannot be made)', () => {
  it('clones a blob, also one that is linked; the clone may be written to', async () => {
    const folder = clonable!
    const blob = sampleBlob(3 * MIB, 1)
    await using store = await LegacyFsStore.open(join(folder, 'store'))
    await store.addBytes(blob.data)
    await store.exportPath(blob.hash, join(folder, 'linked'), { mode: 'link' })
    await store.exportPath(blob.hash, join(folder, 'clone'), { mode: 'reflink' })
    expect((await readdir(folder)).sort()).toEqual(['clone', 'linked', 'store'])
    expect((await readFile(join(folder, 'clone'))).equals(blob.data)).toBe(true)
    expect((await stat(join(folder, 'clone'))).mode & 0o200).toBe(0o200)
    await writeFile(join(folder, 'clone'), 'changed')
    await readClaimed(store, { hash: blob.hash, status: { state: 'complete', size: blob.size } })
  })
})

describe.skipIf(!canMount)('a full disk (skipped where tmpfs cannot be mounted)', () => {
  const first = sampleBlob(3 * MIB, 1)
  const large = sampleBlob(9 * MIB, 2)

  for (const way of ['addBytes', 'addStream'] as const) {
    it(`makes ${way} fail, which leaves nothing of it, and the rest as it was`, async () => {
      const folder = smallDisk()!
      await using store = await LegacyFsStore.open(folder)
      await store.addBytes(first.data)
      const stream = async function* () {
        for (let at = 0; at < large.size; at += 100_000) yield large.data.subarray(at, at + 100_000)
      }
      const adding = way === 'addBytes' ? store.addBytes(large.data) : store.addStream(stream())
      await expect(adding).rejects.toMatchObject({ name: 'StoreFullError', code: 'ERR_STORE_FULL' })
      expect(await readdir(join(folder, 'temp'))).toEqual([])
      const infos = await Array.fromAsync(store.list())
      expect(infos).toHaveLength(1)
      await readClaimed(store, infos[0]!)
      await store.addBytes(sampleBlob(MIB, 3).data)
    })
  }

  it('makes the adding of a large file fail, which leaves nothing of it', async () => {
    const folder = smallDisk()!
    const path = join(await testFolder(), 'file')
    await writeFile(path, sampleBlob(24 * MIB, 4).data)
    await using store = await LegacyFsStore.open(folder)
    await store.addBytes(first.data)
    await expect(store.addPath(path)).rejects.toMatchObject({ code: 'ERR_STORE_FULL' })
    expect(await readdir(join(folder, 'temp'))).toEqual([])
    expect(await Array.fromAsync(store.list())).toHaveLength(1)
    await store.addBytes(sampleBlob(MIB, 3).data)
  })

  it('makes a writer fail, and what it had written stays and is right', async () => {
    const folder = smallDisk()!
    const store = await LegacyFsStore.open(folder)
    await store.addBytes(first.data)
    await receive(store, large, groups(0, 64))
    const writing = receive(store, large, ChunkRanges.all)
    await expect(writing).rejects.toMatchObject({ code: 'ERR_STORE_FULL' })
    const status = await store.status(large.hash)
    expect(status).toMatchObject({ state: 'partial', size: large.size })
    await readClaimed(store, { hash: large.hash, status: status as never })

    // With room again, it goes on where it was, also in another process.
    await store.delete(first.hash)
    await store.close().catch(error => expect(error.code).toBe('ERR_STORE_FULL'))
    await using again = await LegacyFsStore.open(folder)
    const kept = await again.status(large.hash)
    expect(kept.state === 'partial' && kept.ranges.containsAll(groups(0, 64))).toBe(true)
    await readClaimed(again, { hash: large.hash, status: kept as never })
  })

  it.runIf(bootId() !== undefined)(
    'makes saving fail, but what was written is there when there is room',
    async () => {
      const folder = smallDisk()!
      const store = await LegacyFsStore.open(folder)
      const written = groups(0, 250)
      const writer = await startReceiving(store, large, written)
      const note = join(folder, 'data', `${large.hash}.written`)
      await expect.poll(() => existsSync(note), { timeout: 60_000 }).toBe(true)
      const full = fill(folder)
      // On a slow machine all of it may have been saved before.
      await writer.close().catch(error => expect(error.code).toBe('ERR_STORE_FULL'))
      await store.close()
      rmSync(full)
      await using again = await LegacyFsStore.open(folder)
      const status = await again.status(large.hash)
      expect(status).toMatchObject({ state: 'partial', ranges: written })
      await readClaimed(again, { hash: large.hash, status: status as never })
      await receive(again, large, groups(250, 260))
      expect(await again.status(large.hash)).toMatchObject({ ranges: groups(0, 260) })
    }
  )

  it('makes a writer fail that has written nothing yet', async () => {
    const folder = smallDisk()!
    await using store = await LegacyFsStore.open(folder)
    fill(folder)
    await expect(receive(store, large, ChunkRanges.all)).rejects.toMatchObject({ code: 'ERR_STORE_FULL' })
    expect((await store.status(large.hash)).state).toBe('absent')
  })

  it('lets small blobs be deleted, and the store be opened after a power failure', async () => {
    const folder = smallDisk()!
    const samples = [1, 2, 3].map(seed => sampleBlob(10_000, seed))
    const [deleted, kept, lost] = samples as [SampleBlob, SampleBlob, SampleBlob]
    {
      await using store = await LegacyFsStore.open(folder)
      await Promise.all(samples.map(({ data }) => store.addBytes(data)))
    }
    const owner = newOwner()
    endOwner(owner)
    const records = recordsOf(samples)
    const journal = join(folder, 'journals', `${owner}-0.0.journal`)
    // As of another time that the machine was running.
    writeFileSync(journal, Buffer.concat([encodeHeader(Buffer.alloc(32, 7)), records]))
    const { length } = records
    rmSync(join(folder, 'data', `${lost.hash}.data`))
    const full = fill(folder)

    const store = await LegacyFsStore.open(folder)
    expect(store.notices).toEqual([expect.stringContaining('make room and open the store again')])
    expect(await store.delete(deleted.hash)).toBe(true)
    await store.close()
    expect((await stat(journal)).size).toBe(HEADER_BYTES + length)
    rmSync(full)

    await using again = await LegacyFsStore.open(folder)
    expect((await again.status(deleted.hash)).state).toBe('absent')
    for (const { hash } of [kept, lost]) expect((await again.status(hash)).state).toBe('complete')
    expect(await readdir(join(folder, 'journals'))).toEqual([])
  })

  it('leaves no journal for each small blob that it has no room for, so that small blobs can be deleted', async () => {
    const folder = smallDisk()!
    await using store = await LegacyFsStore.open(folder)
    const added: SampleBlob[] = []
    let failures = 0
    for (let seed = 1; failures < 100; seed++) {
      const sample = sampleBlob(16_000, seed)
      try {
        await store.addBytes(sample.data)
        added.push(sample)
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_STORE_FULL' })
        failures++
      }
    }
    expect((await readdir(join(folder, 'journals'))).length).toBeLessThan(5)
    for (const { hash } of added) expect(await store.delete(hash)).toBe(true)
    await store.addBytes(added[0]!.data)
  })

  it('is not filled with half a batch of small blobs', async () => {
    const folder = smallDisk()!
    const [dataFolder, tempFolder, journals] = ['data', 'temp', 'journals'].map(name => join(folder, name))
    for (const path of [dataFolder, tempFolder, journals]) mkdirSync(path!)
    const place = { folder: journals!, prefix: 'a', boot: Buffer.alloc(32) }
    const writer = new FileWriter({ dataFolder: dataFolder!, tempFolder: tempFolder!, journals: place })
    writer.write(recordsOf([sampleBlob(10_000, 1)]))
    const journal = join(journals!, 'a.0.journal')
    const { size } = await stat(journal)
    const full = fill(folder)
    truncateSync(full, (await stat(full)).size - 100_000)
    const results = writer.write(
      recordsOf([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12].map(seed => sampleBlob(16_000, seed)))
    )
    expect((await stat(journal)).size).toBe(size)
    // The room is for the files.
    expect(results.filter(result => typeof result === 'string').length).toBeGreaterThan(3)
  })

  it('makes an export fail, which leaves nothing', async () => {
    const full = smallDisk()!
    await using store = await LegacyFsStore.open(await testFolder())
    await store.addBytes(large.data)
    for (const mode of ['copy', 'move'] as const) {
      const exporting = store.exportPath(large.hash, join(full, 'out'), { mode })
      await expect(exporting).rejects.toMatchObject({ code: 'ERR_STORE_FULL' })
      expect(await readdir(full)).toEqual([])
    }
    expect((await store.status(large.hash)).state).toBe('complete')
  })

  it('on another file system takes what is moved there, by copying', async () => {
    const other = smallDisk()!
    await using store = await LegacyFsStore.open(await testFolder())
    await store.addBytes(first.data)
    await store.exportPath(first.hash, join(other, 'out'), { mode: 'move' })
    expect(await readdir(other)).toEqual(['out'])
    expect(await store.status(first.hash)).toEqual({ state: 'absent' })
  })

  it.each(['link', 'reflink'] as const)('on another file system is said to take no %s', async mode => {
    const other = smallDisk()!
    await using store = await LegacyFsStore.open(await testFolder())
    await store.addBytes(first.data)
    await expect(store.exportPath(first.hash, join(other, 'out'), { mode })).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED_EXPORT_MODE',
      message: expect.stringMatching(/another file system.*use mode "copy"/)
    })
    expect(await readdir(other)).toEqual([])
    expect((await store.status(first.hash)).state).toBe('complete')
  })

  it('that has become read-only is said to be so, and what is there is served', async () => {
    const folder = smallDisk()!
    await using store = await LegacyFsStore.open(folder)
    await store.addBytes(first.data)
    execFileSync('mount', ['-o', 'remount,ro', folder])
    const adding = store.addBytes(sampleBlob(1000).data)
    await expect(adding).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringContaining('read-only')
    })
    const tagging = store.tags.set('tag', { hash: first.hash, format: 'raw' })
    await expect(tagging).rejects.toMatchObject({ message: expect.stringContaining('read-only') })
    const info = { hash: first.hash, status: { state: 'complete', size: first.size } } as const
    await readClaimed(store, info)
    await expect(store.delete(first.hash)).rejects.toMatchObject({
      message: expect.stringContaining('read-only')
    })
    await readClaimed(store, info)
    execFileSync('mount', ['-o', 'remount,rw', folder])
  })
})
