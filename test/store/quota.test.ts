/** A store that takes no more than so many bytes. That it is a store like any other, the compliance suite tells. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parseConfig } from '../../src/node/config.ts'
import { openStore } from '../../src/node/open-store.ts'
import { assertComplete, receive } from '../../src/store/compliance/checks.ts'
import { testStore } from '../../src/store/compliance/index.ts'
import { groups, proven, type Sample, sample, streamOf } from '../../src/store/compliance/samples.ts'
import { StoreFullError } from '../../src/store/errors.ts'
import type { BlobStore } from '../../src/store/index.ts'
import { LegacyFsStore } from '../../src/store/legacy-fs/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { ObjectStore } from '../../src/store/object/index.ts'
import { type QuotaOptions, QuotaStore } from '../../src/store/quota.ts'
import { pause } from '../../src/store/waiting.ts'

const KIB = 1024
const ROOM = 100 * KIB

async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'quota-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return folder
}

async function hashesIn(store: BlobStore): Promise<string[]> {
  return (await Array.fromAsync(store.list())).map(({ hash }) => hash.toString()).sort()
}

const KINDS: readonly [string, () => Promise<BlobStore>][] = [
  ['memory', async () => new MemoryStore()],
  ['legacy-fs', async () => await LegacyFsStore.open(await scratch(), { sync: 'none' })],
  ['objects', async () => await ObjectStore.ephemeral()]
]

testStore(
  { describe, it },
  {
    name: 'QuotaStore',
    capabilities: { persistent: false, paths: true },
    setup: async () => new QuotaStore(new MemoryStore(), { maxBytes: 1e12 }),
    teardown: store => store.close()
  }
)

describe.each(KINDS)('with a quota on %s', (_, open) => {
  async function limited(options: Partial<QuotaOptions> = {}) {
    const inner = await open()
    onTestFinished(() => inner.close())
    return { inner, store: new QuotaStore(inner, { maxBytes: ROOM, ...options }) }
  }

  const there = sample(60 * KIB, 1)
  const large = sample(50 * KIB, 2)
  const small = sample(40 * KIB, 3)

  async function waysIn(blob: Sample): Promise<Record<string, (store: BlobStore) => Promise<unknown>>> {
    const path = join(await scratch(), 'file')
    await writeFile(path, blob.data)
    return {
      addBytes: store => store.addBytes(blob.data),
      addPath: store => store.addPath(path),
      addStream: store => store.addStream(streamOf(blob.data, 10_000)),
      writer: store => receive(store, blob, groups(0, 4))
    }
  }

  it('what is too large is refused, whichever way it comes in, and nothing of it stays', async () => {
    const { store, inner } = await limited()
    await store.addBytes(there.data)
    for (const [name, add] of Object.entries(await waysIn(large))) {
      await expect(add(store), name).rejects.toThrow(StoreFullError)
      expect(await hashesIn(inner), name).toEqual([there.hash.toString()])
      expect(await inner.usage({ isFresh: true }), name).toEqual({ bytes: there.size, partialBytes: 0 })
    }
    for (const add of Object.values(await waysIn(small))) {
      await add(store)
      await assertComplete(store, small)
      // And room comes back.
      await store.delete(small.hash)
    }
  })

  it('nothing is taken from a source before it is known that there is room', async () => {
    const { store, inner } = await limited()
    await store.addBytes(there.data)
    const progress: number[] = []
    const options = { onProgress: (bytes: number) => void progress.push(bytes) }
    await expect(store.addBytes(large.data, options)).rejects.toThrow(StoreFullError)
    await expect(store.addPath((await fileOf(large)).path, options)).rejects.toThrow(StoreFullError)
    await expect(store.writer(large.hash, large.size)).rejects.toThrow(StoreFullError)
    expect(progress).toEqual([])
    expect((await inner.status(large.hash)).state).toBe('absent')
  })

  async function fileOf(blob: Sample) {
    const path = join(await scratch(), 'file')
    await writeFile(path, blob.data)
    return { path }
  }

  it('what is there already takes no room', async () => {
    const { store } = await limited({ maxBytes: there.size })
    await store.addBytes(there.data)
    const { addBytes, addPath, writer } = await waysIn(there)
    expect(await addBytes!(store)).toMatchObject({ size: there.size })
    expect(await addPath!(store)).toMatchObject({ size: there.size })
    await writer!(store)
    await store.addBytes(new Uint8Array(0))
    await expect(store.addBytes(new Uint8Array(1))).rejects.toThrow(StoreFullError)
  })

  it('many that come at once get no more room than there is', async () => {
    const { store, inner } = await limited()
    const blobs = Array.from({ length: 30 }, (_, i) => sample(10 * KIB, 100 + i))
    const ends = await Promise.allSettled(blobs.map(({ data }) => store.addBytes(data)))
    expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(10)
    expect((await inner.usage({ isFresh: true })).bytes).toBe(ROOM)
  })

  it('what is arriving counts once, whether it has come or not', async () => {
    const { store } = await limited({ maxBytes: 160 * KIB })
    const arriving = sample(100 * KIB, 9)
    const writer = await store.writer(arriving.hash, arriving.size)
    await expect(store.addBytes(sample(61 * KIB, 8).data)).rejects.toThrow(/102400 are on their way/)
    for await (const verified of proven(arriving, groups(0, 6))) await writer.write(verified)
    await store.addBytes(there.data)
    await expect(store.addBytes(new Uint8Array(1))).rejects.toThrow(StoreFullError)
    // What does not come any more leaves its room to others.
    await writer.close()
    await store.addBytes(sample(4 * KIB, 7).data)
    await store.delete(sample(4 * KIB, 7).hash)
    // What is held of a blob has its room already.
    await receive(store, arriving, groups(6, 7))
    await assertComplete(store, arriving)
  })

  it('a writer that cannot be had keeps no room', async () => {
    const { store } = await limited()
    await store.addBytes(there.data)
    for (let i = 0; i < 10; i++) {
      await expect(store.writer(there.hash, there.size + 1)).rejects.toMatchObject({
        code: 'ERR_SIZE_MISMATCH'
      })
    }
    await store.addBytes(small.data)
  })

  it('room is made once for all who need it', async () => {
    let calls = 0
    const { store } = await limited({
      makeRoom: async () => {
        calls++
        // Long enough for the other to ask.
        await pause(100)
        await store.delete(there.hash)
      }
    })
    await store.addBytes(there.data)
    await Promise.all([sample(45 * KIB, 21), sample(45 * KIB, 22)].map(({ data }) => store.addBytes(data)))
    expect(calls).toBe(1)
  })

  it('the message names what to do', async () => {
    const { store } = await limited()
    await receive(store, sample(90 * KIB, 31), groups(0, 1))
    await expect(store.addBytes(sample(95 * KIB, 32).data)).rejects.toThrow(
      'no room for 97280 more bytes: of 102400 (max_size) 16384 are in use; delete tags and collect garbage ' +
        '(partial blobs hold 16384 bytes), or raise max_size'
    )
  })
})

it.each([-1, Number.NaN])('%s bytes are no quota', maxBytes => {
  expect(() => new QuotaStore(new MemoryStore(), { maxBytes })).toThrow(RangeError)
})

describe('max_size in a configuration', () => {
  const old = sample(90 * KIB, 41)
  const blob = sample(95 * KIB, 42)

  async function home(partialDays: number) {
    const warnings: string[] = []
    const config = parseConfig({ blobStore: { type: 'legacy', maxSize: ROOM }, gc: { partialDays } }, 'test')
    const store = await openStore(config, await scratch(), { onWarning: text => void warnings.push(text) })
    onTestFinished(() => store.close())
    return { store, warnings }
  }

  it('has old partial blobs go first', async () => {
    const { store } = await home(0)
    await receive(store, old, groups(0, 1))
    await expect
      .poll(async () => (await store.addBytes(blob.data).catch(error => error)).size)
      .toBe(blob.size)
    expect(await hashesIn(store)).toEqual([blob.hash.toString()])
  })

  it('spares young ones, and those that a tag holds', async () => {
    for (const days of [1, 0]) {
      const { store, warnings } = await home(days)
      await receive(store, old, groups(0, 1))
      if (days === 0) await store.tags.set('old', { hash: old.hash, format: 'raw' })
      await expect(store.addBytes(blob.data)).rejects.toThrow(StoreFullError)
      expect(await hashesIn(store)).toEqual([old.hash.toString()])
      expect(warnings).toEqual([])
    }
  })

  it('is no room when it cannot be known what is garbage', async () => {
    const { store, warnings } = await home(0)
    await receive(store, old, groups(0, 1))
    await store.tags.set('list', { hash: sample(64, 50).hash, format: 'hash_seq' })
    await expect(store.addBytes(blob.data)).rejects.toThrow(StoreFullError)
    expect(warnings).toEqual([])
  })
})
