/** Leases as rows: what they leave behind. That they protect, the compliance suite tells. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, it, onTestFinished } from 'vitest'
import { sample } from '../../../src/store/compliance/samples.ts'
import { Metadata } from '../../../src/store/object/metadata/index.ts'
import { ObjectStore } from '../../../src/store/object/store.ts'
import { LEASE_PATIENCE_MS, newOwner } from '../../../src/store/owners.ts'

const one = sample(1000)
const raw = { hash: one.hash, format: 'raw' } as const

async function testFolder() {
  const folder = await mkdtemp(join(tmpdir(), 'object-leases-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const dbPath = join(folder, 'blobs.db')
  const open = (onNotice?: (message: string) => void) =>
    ObjectStore.open({ dbPath, storage: { type: 'filesystem', path: join(folder, 'blobs') }, onNotice })
  const owners = () => {
    using metadata = Metadata.open(dbPath)
    return metadata.leases().map(({ owner }) => owner)
  }
  return { dbPath, open, owners }
}

function setRenewed(dbPath: string, owner: string, at: number): void {
  const database = new Database(dbPath)
  database.prepare('UPDATE leases SET renewed_at = ? WHERE owner = ?').run(at, owner)
  database.close()
}

it('a store that is closed leaves no leases, whoever held them', async () => {
  const { open, owners } = await testFolder()
  const store = await open()
  const lease = await store.lease()
  await lease.protect(raw)
  expect(owners()).toHaveLength(1)
  await Promise.all([store.close(), store.close()])
  expect(owners()).toEqual([])
  await lease.release()
})

it('a lease that cannot be ended does not hide how what was done under it ended, and ends with the store', async () => {
  const { dbPath, open, owners } = await testFolder()
  const notices: string[] = []
  const store = await open(notice => notices.push(notice))
  const database = new Database(dbPath)
  onTestFinished(() => void database.close())
  database.exec("CREATE TRIGGER keeps BEFORE DELETE ON leases BEGIN SELECT RAISE(ABORT, 'no room'); END")
  const failure = new Error('the disk is full')
  const failing = async (): Promise<void> => {
    await using _lease = await store.lease()
    throw failure
  }
  await expect(failing()).rejects.toBe(failure)
  expect(notices.join()).toContain('no room')
  const explicit = await store.lease()
  await expect(explicit.release()).rejects.toThrow('no room')
  database.exec('DROP TRIGGER keeps')
  expect(owners()).toHaveLength(2)
  await store.close()
  expect(owners()).toEqual([])
})

it('leases of dead processes go when the store is opened; those of other machines when they are silent', async () => {
  const { dbPath, open, owners } = await testFolder()
  await (await open()).close()
  const dead = newOwner().replace(/-\d+\./, '-999999999.')
  const far = newOwner().replace(/^[0-9a-f]{8}/, '00000000')
  const silent = newOwner().replace(/^[0-9a-f]{8}/, '11111111')
  {
    using metadata = Metadata.open(dbPath)
    for (const owner of [dead, far, silent]) metadata.newLease(`${owner}-0`, owner)
  }
  setRenewed(dbPath, silent, Date.now() - LEASE_PATIENCE_MS - 1000)
  setRenewed(dbPath, dead, Date.now() + 1e9)
  await using _store = await open()
  await expect.poll(owners).toEqual([far])
})

it('a lease of very many blobs is forgotten in many turns', async () => {
  const { open } = await testFolder()
  await using store = await open()
  const lease = await store.lease()
  for (let i = 0; i < 100; i++) await lease.protect(...Array.from({ length: 1000 }, () => raw))
  let turns = 0
  let isOver = false
  const turn = (): void => {
    turns++
    if (!isOver) setImmediate(turn)
  }
  setImmediate(turn)
  await lease.release()
  isOver = true
  expect(turns).toBeGreaterThan(3)
  await using sweep = await store.sweep()
  expect(await Array.fromAsync(sweep.roots())).toEqual([])
})
