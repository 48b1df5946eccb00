/** The table of states and methods has a row for each method that our stores have. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { sample } from '../../src/store/compliance/samples.ts'
import { OUTCOMES } from '../../src/store/compliance/states.ts'
import type { BlobStore } from '../../src/store/index.ts'
import { LegacyFsStore } from '../../src/store/legacy-fs/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { ObjectStore } from '../../src/store/object/index.ts'
import { QuotaStore } from '../../src/store/quota.ts'

/** Methods that are the store's own, or its parts' among themselves. */
const OWN = ['recoverFromStorage', 'all', 'keep', 'stats', 'sync', 'listForSweep']

async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'states-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return folder
}

function methodsOf(object: object): string[] {
  const names = new Set<string>()
  for (let part = object; part !== Object.prototype; part = Object.getPrototypeOf(part)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(part))) {
      if (typeof value === 'function' && name !== 'constructor' && !OWN.includes(name)) names.add(name)
    }
  }
  return [...names].sort()
}

const STORES: readonly [string, () => Promise<BlobStore>][] = [
  ['MemoryStore', async () => new MemoryStore()],
  ['LegacyFsStore', async () => await LegacyFsStore.open(await scratch())],
  ['ObjectStore', async () => await ObjectStore.ephemeral()],
  ['QuotaStore', async () => new QuotaStore(new MemoryStore(), { maxBytes: 1e9 })]
]

/** What a reader, and a store, need not have. */
const OPTIONAL: Readonly<Record<string, readonly string[]>> = {
  reader: ['readDataInto', 'askAhead'],
  store: ['statusOfMany']
}

it.each(STORES)('%s has no method without a row', async (_, open) => {
  await using store = await open()
  const blob = sample(100_000)
  await store.addBytes(blob.data)
  await using reader = await store.open(blob.hash)
  await using writer = await store.writer(blob.hash, blob.size)
  await using lease = await store.lease()
  await using sweep = await store.sweep()
  const objects = { store, tags: store.tags, reader: reader!, writer, lease, sweep }
  for (const [kind, object] of Object.entries(objects)) {
    const rows = Object.keys(OUTCOMES[kind as keyof typeof OUTCOMES])
    const methods = new Set(methodsOf(object))
    for (const optional of OPTIONAL[kind] ?? []) methods.add(optional)
    expect([...methods].sort(), kind).toEqual(rows.sort())
  }
})
