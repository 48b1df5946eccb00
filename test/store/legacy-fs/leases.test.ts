/** Leases as files: what they leave behind, and what they cost. That they protect, the compliance suite tells. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import fsPromises, { readdir, readlink, rm, utimes, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { sample } from '../../../src/store/compliance/samples.ts'
import type { BlobStore, Root } from '../../../src/store/index.ts'
import { LegacyFsStore } from '../../../src/store/legacy-fs/index.ts'
import { LEASE_PATIENCE_MS, newOwner } from '../../../src/store/owners.ts'
import { testFolder, testStore } from './support.ts'

const [one, two] = [sample(1000, 1), sample(2000, 2)]
const raw = ({ hash }: typeof one) => ({ hash, format: 'raw' }) as const

/** A store of another machine, of which nobody can see whether it is open. */
const farOwner = () => newOwner().replace(/^[0-9a-f]{8}/, '00000000')

async function rootsOf(store: BlobStore): Promise<Root[]> {
  await using sweep = await store.sweep()
  return await Array.fromAsync(sweep.roots())
}

async function keepNothing(): Promise<ReadonlySet<string>> {
  return new Set()
}

/** Files below a folder that this process has open. */
async function openFiles(folder: string): Promise<string[]> {
  const fds = await readdir('/proc/self/fd')
  const paths = await Promise.all(fds.map(fd => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
  return paths.filter(path => path.startsWith(folder))
}

describe('what leases leave behind', () => {
  it.runIf(process.platform === 'linux')('is no open file, when their store is closed', async () => {
    const folder = await testFolder()
    const store = await LegacyFsStore.open(folder)
    const lease = await store.lease()
    await lease.protect(raw(one))
    expect(await openFiles(folder)).toHaveLength(1)
    await store.close()
    expect(await openFiles(folder)).toEqual([])
    await lease.release()
    await expect(lease.protect(raw(one))).rejects.toMatchObject({ code: 'ERR_STORE_CLOSED' })
  })

  it.runIf(process.platform === 'linux')(
    'is no open file either when the store is closed while one is being released',
    async () => {
      const folder = await testFolder()
      const store = await LegacyFsStore.open(folder)
      const lease = await store.lease()
      await lease.protect(raw(one))
      // To see that this one is of nobody any more takes a turn of the event loop.
      const stale = join(folder, 'sweeps', `${farOwner()}-0.gc`)
      await writeFile(stale, '')
      await utimes(stale, 0, 0)
      const releasing = lease.release()
      for (let turns = 0; turns < 10; turns++) await Promise.resolve()
      await Promise.all([releasing, store.close()])
      expect(await openFiles(folder)).toEqual([])
      expect(await readdir(join(folder, 'leases'))).toEqual([])
    }
  )

  it('is no file, also of those that were released while garbage was collected', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    const sweep = await store.sweep()
    const lease = await store.lease()
    await lease.protect(raw(one))
    await lease.release()
    expect(await readdir(join(folder, 'leases'))).toEqual([expect.stringMatching(/\.released$/)])
    await sweep.close()
    expect(await readdir(join(folder, 'leases'))).toEqual([])
    expect(await readdir(join(folder, 'sweeps'))).toEqual([])
  })

  it('goes when the store is opened again; what is not theirs stays', async () => {
    const folder = await testFolder()
    await (await LegacyFsStore.open(folder)).close()
    const dead = newOwner().replace(/-\d+\./, '-999999999.')
    const far = farOwner()
    for (const name of [
      `leases/${dead}-0.lease`,
      `leases/${dead}-1.released`,
      `leases/${far}-0.lease`,
      'leases/notes.txt'
    ])
      await writeFile(join(folder, name), '')
    for (const name of [`${dead}-2.gc`, `${dead}-2.gate`]) await writeFile(join(folder, 'sweeps', name), '')
    await testStore(folder)
    expect((await readdir(join(folder, 'leases'))).sort()).toEqual([`${far}-0.lease`, 'notes.txt'])
    expect(await readdir(join(folder, 'sweeps'))).toEqual([])
  })

  it('is nothing after a sweep that could not begin', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    await rm(join(folder, 'leases'), { recursive: true })
    await writeFile(join(folder, 'leases'), '')
    await expect(store.sweep()).rejects.toThrow(/cannot begin to collect garbage/)
    expect(await readdir(join(folder, 'sweeps'))).toEqual([])
  })
})

describe('a file whose lease has ended', () => {
  it('is that of the next one, which protects what it says and nothing else', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    for (const blob of [one, two]) {
      const lease = await store.lease()
      await lease.protect(raw(blob))
      expect(await rootsOf(store)).toEqual([raw(blob)])
      await lease.release()
      expect(await rootsOf(store)).toEqual([])
    }
    expect(await readdir(join(folder, 'leases'))).toHaveLength(1)
  })

  it('tells a collection that has read it before what it protects since', async () => {
    const store = await testStore(await testFolder())
    await store.addBytes(two.data)
    const first = await store.lease()
    await first.protect(raw(one))
    await first.release()
    await using sweep = await store.sweep()
    expect(await Array.fromAsync(sweep.roots())).toEqual([])
    const second = await store.lease()
    await second.protect(raw(two))
    const hold = async (fresh: readonly Root[]) => new Set(fresh.map(({ hash }) => hash.toString()))
    expect(await sweep.delete([two.hash], hold)).toEqual([])
    await second.release()
  })

  it('is left alone when others have removed it: the next lease makes one', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    const first = await store.lease()
    await first.protect(raw(one))
    await first.release()
    for (const name of await readdir(join(folder, 'leases'))) await rm(join(folder, 'leases', name))
    const second = await store.lease()
    await second.protect(raw(two))
    expect(await rootsOf(store)).toEqual([raw(two)])
    await second.release()
  })

  it('is removed when it is long', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    const lease = await store.lease()
    await lease.protect(...Array.from({ length: 100 }, () => raw(one)))
    await lease.release()
    expect(await readdir(join(folder, 'leases'))).toEqual([])
  })
})

describe('a lease of another machine', () => {
  it('lasts as long as it gives signs of life', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    const path = join(folder, 'leases', `${farOwner()}-0.lease`)
    await writeFile(path, Uint8Array.from([...one.hash.bytes, 0]))
    expect(await rootsOf(store)).toHaveLength(1)
    const before = (Date.now() - LEASE_PATIENCE_MS - 5_000) / 1000
    await utimes(path, before, before)
    expect(await rootsOf(store)).toEqual([])
    expect(await readdir(join(folder, 'leases'))).toEqual([])
  })

  it('tells its holder that it was lost', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    const lease = await store.lease()
    await lease.protect(raw(one))
    const [name] = await readdir(join(folder, 'leases'))
    await rm(join(folder, 'leases', name!))
    await expect(lease.protect(raw(two))).rejects.toMatchObject({ code: 'ERR_LEASE_LOST' })
    await lease.release()
  })

  it('may have a gate, for which others wait; not for ever', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    const gate = join(folder, 'sweeps', `${farOwner()}-0.gate`)
    await writeFile(gate, '')
    let isProtected = false
    const protecting = (async () => {
      const lease = await store.lease()
      await lease.protect(raw(one))
      isProtected = true
    })()
    await new Promise(resolve => setTimeout(resolve, 100))
    expect(isProtected).toBe(false)
    const before = (Date.now() - LEASE_PATIENCE_MS - 5_000) / 1000
    await utimes(gate, before, before)
    await protecting
  })
})

describe('while garbage is collected, somebody who protects a blob', () => {
  it('does not wait until a list of blobs has been read that another one protects', async () => {
    const store = await testStore(await testFolder())
    for (const { data } of [one, two]) await store.addBytes(data)
    await using sweep = await store.sweep()
    await Array.fromAsync(sweep.roots())
    await using lease = await store.lease()
    const list = { hash: sample(3000, 3).hash, format: 'hash_seq' } as const
    await lease.protect(list)
    const told: Root[][] = []
    const gone = await sweep.delete([one.hash, two.hash], async fresh => {
      told.push([...fresh])
      // Neither of these could be waited for here.
      if (told.length === 1) await lease.protect(list)
      if (told.length === 2) await lease.protect(raw(one))
      return new Set(told.length === 3 ? [one.hash.toString()] : [])
    })
    expect(told).toEqual([[list], [list], [raw(one)]])
    expect(gone).toEqual([two.hash])
  })

  it('is heard by the next deletion, when there was nothing left to delete in the one before', async () => {
    const store = await testStore(await testFolder())
    for (const { data } of [one, two]) await store.addBytes(data)
    await using sweep = await store.sweep()
    await Array.fromAsync(sweep.roots())
    await using lease = await store.lease()
    const [first, second] = [3, 4].map(
      seed => ({ hash: sample(3000, seed).hash, format: 'hash_seq' }) as const
    )
    await lease.protect(first!)
    const told: Root[] = []
    const gone = await sweep.delete([one.hash], async fresh => {
      told.push(...fresh)
      if (told.length === 1) await lease.protect(second!)
      return new Set([one.hash.toString()])
    })
    expect(gone).toEqual([])
    const keepTwo = async (fresh: readonly Root[]) => {
      told.push(...fresh)
      return new Set([two.hash.toString()])
    }
    expect(await sweep.delete([two.hash], keepTwo)).toEqual([])
    expect(told).toEqual([first, second])
  })

  it('does not wait for the rest of what takes long to delete, and keeps that', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    const samples = Array.from({ length: 20 }, (_, i) => sample(100 + i, i))
    for (const { data } of samples) await store.addBytes(data)
    await using sweep = await store.sweep()
    await Array.fromAsync(sweep.roots())
    await using lease = await store.lease()
    let protecting: Promise<void> | undefined
    const now = performance.now.bind(performance)
    const { rm } = fsPromises
    onTestFinished(() => {
      vi.restoreAllMocks()
      syncBuiltinESMExports()
    })
    vi.spyOn(fsPromises, 'rm').mockImplementation(async (path, options) => {
      await rm(path, options)
      if (protecting !== undefined || !String(path).endsWith('.data')) return
      protecting = lease.protect(raw(samples[0]!))
      const notes = join(folder, 'leases')
      const isNoted = async () => (await readdir(notes)).some(name => statSync(join(notes, name)).size > 0)
      while (!(await isNoted())) await new Promise(resolve => setImmediate(resolve))
      // As if it had taken so long.
      vi.spyOn(performance, 'now').mockImplementation(() => now() + 5_000)
    })
    syncBuiltinESMExports()
    const hashes = samples.map(({ hash }) => hash)
    const gone = await sweep.delete(hashes, async () => new Set([hashes[0]!.toString()]))
    await protecting
    expect(gone).toHaveLength(19)
    expect((await store.status(hashes[0]!)).state).toBe('complete')
  })
})

it('a collection that stood still for too long deletes nothing', async () => {
  const folder = await testFolder()
  const store = await testStore(folder)
  await store.addBytes(one.data)
  await using sweep = await store.sweep()
  await Array.fromAsync(sweep.roots())
  await store.tags.set('fresh', raw(two))
  const now = performance.now.bind(performance)
  onTestFinished(() => void vi.restoreAllMocks())
  const deleting = sweep.delete([one.hash], async () => {
    // As if it had been stopped here.
    vi.spyOn(performance, 'now').mockImplementation(() => now() + LEASE_PATIENCE_MS)
    return await keepNothing()
  })
  await expect(deleting).rejects.toThrow(/stood still for too long.*collect garbage again/)
  vi.restoreAllMocks()
  expect((await store.status(one.hash)).state).toBe('complete')
  expect(await sweep.delete([one.hash], keepNothing)).toHaveLength(1)
})

it('a collection that was closed deletes nothing', async () => {
  const store = await testStore(await testFolder())
  await store.addBytes(one.data)
  const sweep = await store.sweep()
  await sweep.close()
  await expect(sweep.delete([one.hash], keepNothing)).rejects.toMatchObject({ code: 'ERR_HANDLE_CLOSED' })
  expect((await store.status(one.hash)).state).toBe('complete')
})

/** @returns a folder on a disk of 1 MiB; undefined when we may not mount */
function smallDisk(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'small-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'pipe' })
  } catch {
    rmSync(folder, { recursive: true })
    return undefined
  }
  onTestFinished(() => {
    execFileSync('umount', [folder])
    rmSync(folder, { recursive: true })
  })
  return folder
}

it('a lease that could not be written in full protects what it is told later', async context => {
  const folder = smallDisk()
  if (folder === undefined) return context.skip('tmpfs cannot be mounted')
  await using store = await LegacyFsStore.open(folder)
  await using lease = await store.lease()
  await lease.protect(raw(one))
  // Leaves 1000 bytes to the end of a page, which are not a whole number of records.
  await writeFile(join(folder, 'filler'), new Uint8Array(2 * 1024 * 1024)).catch(() => undefined)
  const many = Array.from({ length: 1000 }, () => raw(one))
  await expect(lease.protect(...many)).rejects.toMatchObject({ code: 'ERR_STORE_FULL' })
  await rm(join(folder, 'filler'))
  await lease.protect(raw(two))
  const hashes = (await rootsOf(store)).map(({ hash }) => hash.toString())
  expect(new Set(hashes)).toEqual(new Set([one.hash.toString(), two.hash.toString()]))
})
