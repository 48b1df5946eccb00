/** Adding: what goes up, in which order, and what stays when it fails. */
import { appendFile, mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { hashBytes } from '../../../src/bao/outboard.ts'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import type { ObjectStoreOptions } from '../../../src/store/object/options.ts'
import { ObjectStore } from '../../../src/store/object/store.ts'
import { type Operation, S3TestServer } from '../../helpers/s3-server/index.ts'
import {
  gate,
  groups,
  hasContent,
  keysOf,
  type Method,
  MIB,
  receive,
  type SampleBlob,
  sampleBlob,
  serve,
  startReceiving,
  testFolder,
  testStore,
  until,
  WatchedStorage
} from './support.ts'

async function* inPieces(bytes: Uint8Array, pieceBytes = 100_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

/** Each way to add a blob. */
const ways = {
  addBytes: async (store: ObjectStore, { data }: SampleBlob, signal?: AbortSignal) =>
    await store.addBytes(data, { signal }),
  addStream: async (store: ObjectStore, { data }: SampleBlob, signal?: AbortSignal) =>
    await store.addStream(inPieces(data), { signal }),
  addPath: async (store: ObjectStore, { data }: SampleBlob, signal?: AbortSignal) => {
    const path = join(await testFolder(), 'file')
    await writeFile(path, data)
    return await store.addPath(path, { signal })
  }
}

type Way = keyof typeof ways
const allWays = Object.keys(ways) as Way[]

async function newStore(options: ObjectStoreOptions = {}) {
  const storage = new WatchedStorage()
  const store = await testStore(storage, options)
  storage.calls.length = 0
  return { storage, store }
}

async function expectNothing(storage: WatchedStorage, store: ObjectStore, blob: SampleBlob): Promise<void> {
  expect(await store.status(blob.hash)).toEqual({ state: 'absent' })
  expect(await Array.fromAsync(store.list())).toEqual([])
  expect(await keysOf(storage, 'temp/')).toEqual([])
}

const SIZES = [1, 8, 16].flatMap(mib => [mib * MIB - 1, mib * MIB, mib * MIB + 1])

describe.each(allWays)('%s', way => {
  const add = ways[way]

  it.each([16_384, 16_385, 4 * MIB + 1, ...SIZES])('puts %i bytes and their outboard', async size => {
    const { storage, store } = await newStore()
    const blob = sampleBlob(size)
    expect(await add(store, blob)).toEqual({ hash: blob.hash, size })
    const prefix = `blobs/${blob.hash.toBase32()}`
    const { outboard } = hashBytes(blob.data)
    const keys = outboard.length > 0 ? [`${prefix}/data`, `${prefix}/outboard`] : [`${prefix}/data`]
    expect(await keysOf(storage)).toEqual(keys)
    expect(await hasContent(storage, keys[0]!, blob.data)).toBe(true)
    if (keys[1] !== undefined) expect(await hasContent(storage, keys[1], outboard)).toBe(true)
    expect(await store.status(blob.hash)).toEqual({ state: 'complete', size })
  })

  it('puts the outboard before the data can be seen', async () => {
    for (const size of [100_000, 3 * MIB, 20 * MIB]) {
      const { storage, store } = await newStore()
      const seen: string[] = []
      storage.before = async ({ method }) => {
        if (method === 'list') return
        const keys = await keysOf(storage.inner, 'blobs/')
        seen.push(keys.map(key => key.replace(/.*\//, '')).join('+'))
      }
      await add(store, sampleBlob(size))
      storage.before = undefined
      expect(seen).not.toContain('data')
      expect(seen).toContain('outboard')
    }
  })

  it('puts nothing that is there already', async () => {
    for (const size of [1000, 3 * MIB, 20 * MIB]) {
      const { storage, store } = await newStore()
      const blob = sampleBlob(size)
      await add(store, blob)
      storage.calls.length = 0
      await add(store, blob)
      const puts = storage.count('put', /^blobs/) + storage.count('upload', /^blobs/) + storage.count('move')
      expect(puts).toBe(0)
    }
  })

  it('puts again what was lost', async () => {
    for (const size of [1000, 3 * MIB]) {
      for (const lost of ['data', 'outboard']) {
        const { storage, store } = await newStore()
        const blob = sampleBlob(size)
        await add(store, blob)
        await storage.delete([`blobs/${blob.hash.toBase32()}/${lost}`])
        await add(store, blob)
        await serve(store, blob.hash)
      }
    }
  })

  it('completes a blob of which a part was there, and one that is arriving', async () => {
    for (const isOpen of [true, false]) {
      const { storage, store } = await newStore()
      const blob = sampleBlob(20 * MIB)
      const writer = await startReceiving(store, blob, groups(0, 700))
      if (!isOpen) await writer.close()
      await add(store, blob)
      if (isOpen) expect(await writer.close()).toEqual({ state: 'complete', size: blob.size })
      expect(await store.status(blob.hash)).toEqual({ state: 'complete', size: blob.size })
      expect(await keysOf(storage)).toHaveLength(2)
      await serve(store, blob.hash)
    }
  })

  it('takes no blob that is larger than the store may', async () => {
    const { storage, store } = await newStore({ maxBlobSize: 3 * MIB })
    await add(store, sampleBlob(3 * MIB))
    for (const size of [3 * MIB + 1, 12 * MIB]) {
      const blob = sampleBlob(size)
      await expect(add(store, blob)).rejects.toMatchObject({ code: 'ERR_BLOB_TOO_LARGE' })
      expect(await store.status(blob.hash)).toEqual({ state: 'absent' })
    }
    expect(await keysOf(storage)).toHaveLength(2)
    const small = await newStore({ maxBlobSize: 10 })
    await expect(add(small.store, sampleBlob(11))).rejects.toMatchObject({ code: 'ERR_BLOB_TOO_LARGE' })
    expect(await keysOf(small.storage)).toEqual([])
  })

  it('leaves nothing to be seen when the storage fails, at whatever, and can be tried again', async () => {
    for (const size of [1000, 3 * MIB, 20 * MIB]) {
      const blob = sampleBlob(size)
      const { storage: counted, store: first } = await newStore()
      await add(first, blob)
      const writing: Method[] = ['put', 'upload', 'part', 'complete', 'move', 'stat']
      const calls = counted.calls.filter(({ method }) => writing.includes(method))
      for (let failing = 0; failing < calls.length; failing++) {
        const { storage, store } = await newStore()
        let left = failing
        storage.before = ({ method }) => {
          if (writing.includes(method) && left-- === 0) throw new Error('out of order')
        }
        await expect(add(store, blob)).rejects.toThrow('out of order')
        await expectNothing(storage, store, blob)
        storage.before = undefined
        await add(store, blob)
        await serve(store, blob.hash)
      }
    }
  })

  it('ends when told, at whatever it is, and leaves nothing to be seen', async () => {
    for (const size of [1000, 20 * MIB]) {
      const blob = sampleBlob(size)
      let reached = 0
      for (const method of ['stat', 'put', 'upload', 'part', 'complete', 'move'] as const) {
        const { storage, store } = await newStore()
        const stop = new AbortController()
        const reason = new Error('enough')
        let isReached = false
        storage.before = (call, signal) => {
          if (call.method !== method || isReached) return
          isReached = true
          stop.abort(reason)
          signal?.throwIfAborted()
        }
        const outcome = await add(store, blob, stop.signal).catch(error => error)
        // Not every way asks for everything.
        if (!isReached) continue
        reached++
        expect(outcome).toBe(reason)
        storage.before = undefined
        await expectNothing(storage, store, blob)
      }
      expect(reached).toBeGreaterThan(0)
    }
  })

  it('ends when told, also when it looks last whether all is there', async () => {
    const blob = sampleBlob(20 * MIB)
    const { storage: counted, store: first } = await newStore()
    await add(first, blob)
    let left = counted.count('stat')
    const { storage, store } = await newStore()
    const stop = new AbortController()
    const reason = new Error('enough')
    storage.before = ({ method }, signal) => {
      if (method !== 'stat' || --left > 0) return
      stop.abort(reason)
      signal?.throwIfAborted()
    }
    await expect(add(store, blob, stop.signal)).rejects.toBe(reason)
    storage.before = undefined
    await expectNothing(storage, store, blob)
    await add(store, blob)
    await serve(store, blob.hash)
  })

  it('leaves no files behind', async () => {
    const left = async () =>
      (await readdir(tmpdir())).filter(name => /^blobs-.*\.outboard$/.test(name)).length
    const before = await left()
    const { storage, store } = await newStore()
    await add(store, sampleBlob(9 * MIB))
    storage.before = ({ method }) => {
      if (method === 'complete') throw new Error('out of order')
    }
    await expect(add(store, sampleBlob(9 * MIB, 2))).rejects.toThrow()
    expect(await left()).toBeLessThanOrEqual(before)
  })

  it('is told how far it is', async () => {
    const { store } = await newStore()
    const path = join(await testFolder(), 'file')
    const { data } = sampleBlob(5 * MIB + 1)
    await writeFile(path, data)
    const told: number[] = []
    const options = { onProgress: (bytes: number) => told.push(bytes) }
    if (way === 'addBytes') await store.addBytes(data, options)
    if (way === 'addStream') await store.addStream(inPieces(data), options)
    if (way === 'addPath') await store.addPath(path, options)
    expect(told).toEqual([...told].sort((a, b) => a - b))
    expect(told.at(-1)).toBe(data.length)
    expect(told.length).toBeLessThanOrEqual(6)
  })
})

describe('addBytes', () => {
  it.each([1000, 3 * MIB, 20 * MIB])(
    'does not mind that the bytes are changed meanwhile (%i)',
    async size => {
      const { store } = await newStore()
      const blob = sampleBlob(size)
      const bytes = blob.data.slice()
      const adding = store.addBytes(bytes)
      bytes.fill(7)
      expect(await adding).toEqual({ hash: blob.hash, size })
      await serve(store, blob.hash)
    }
  )

  it('does not mind while it waits for others either', async () => {
    const { storage, store } = await newStore()
    const door = gate()
    storage.before = async ({ method }) => {
      if (method === 'put') await door.pass()
    }
    const blobs = Array.from({ length: 60 }, (_, i) => sampleBlob(100 + i, i + 1))
    const adding = blobs.map(({ data }) => {
      const bytes = data.slice()
      const added = store.addBytes(bytes)
      bytes.fill(0)
      return added
    })
    door.open()
    expect((await Promise.all(adding)).map(({ hash }) => `${hash}`)).toEqual(
      blobs.map(({ hash }) => `${hash}`)
    )
  })
})

describe('addPath', () => {
  const large = sampleBlob(20 * MIB)

  async function file(blob: SampleBlob): Promise<string> {
    const path = join(await testFolder(), 'file')
    await writeFile(path, blob.data)
    return path
  }

  it('does not take a file that changes between hashing and putting', async () => {
    const { storage, store } = await newStore()
    const path = await file(large)
    const other = sampleBlob(20 * MIB, 2)
    let isChanged = false
    // The first thing that is asked for when the file is hashed.
    storage.before = async ({ method }) => {
      if (method !== 'stat' || isChanged) return
      isChanged = true
      await writeFile(path, other.data)
      await utimes(path, 1, 1)
    }
    await expect(store.addPath(path)).rejects.toMatchObject({ code: 'ERR_FILE_CHANGED' })
    await expectNothing(storage, store, large)
    await expectNothing(storage, store, other)
    expect(await keysOf(storage)).toEqual([])
  })

  it('does not take a file that grows while it is put', async () => {
    const { storage, store } = await newStore()
    const path = await file(large)
    let isChanged = false
    storage.before = async ({ method }) => {
      if (method !== 'part' || isChanged) return
      isChanged = true
      await appendFile(path, 'more')
    }
    await expect(store.addPath(path)).rejects.toMatchObject({ code: 'ERR_FILE_CHANGED' })
    await expectNothing(storage, store, large)
    expect(await keysOf(storage)).toEqual([])
  })

  it('takes a file whose content stays, whatever happens to it afterwards', async () => {
    const { storage, store } = await newStore()
    const path = await file(large)
    storage.before = async ({ method }) => {
      if (method === 'complete') await utimes(path, 1, 1)
    }
    expect(await store.addPath(path)).toEqual({ hash: large.hash, size: large.size })
    await serve(store, large.hash)
  })

  it('reads a file that is there already only once', async () => {
    const { store } = await newStore()
    const path = await file(large)
    await store.addPath(path)
    const told: number[] = []
    await store.addPath(path, { onProgress: bytes => told.push(bytes) })
    expect(told.at(-1)).toBe(large.size)
  })

  it('takes no folder, and nothing that is not there', async () => {
    const { store } = await newStore()
    const folder = await testFolder()
    await mkdir(join(folder, 'inner'))
    await expect(store.addPath(join(folder, 'inner'))).rejects.toThrow('is not a regular file')
    await expect(store.addPath(join(folder, 'none'))).rejects.toThrow('cannot read')
  })
})

describe('addStream', () => {
  it('that fails leaves nothing, and the source is ended', async () => {
    for (const bytes of [1000, 3 * MIB, 20 * MIB]) {
      const { storage, store } = await newStore()
      const source = (async function* () {
        yield* inPieces(sampleBlob(bytes).data)
        throw new Error('no more')
      })()
      await expect(store.addStream(source)).rejects.toThrow('no more')
      expect(await keysOf(storage)).toEqual([])
      expect(storage.count('complete')).toBe(0)
    }
  })

  it('ends a source that it takes no more of, also one that is silent', async () => {
    const { storage, store } = await newStore()
    let isEnded = false
    const silence = gate()
    storage.before = async ({ method }) => {
      if (method !== 'part') return
      await silence.reached
      throw new Error('out of order')
    }
    const data = sampleBlob(20 * MIB).data
    const pieces = inPieces(data)
    const source: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          const next = await pieces.next()
          if (next.done === true) await silence.pass()
          return next
        },
        return: async () => {
          isEnded = true
          return { done: true, value: undefined }
        }
      })
    }
    await expect(store.addStream(source)).rejects.toThrow('out of order')
    expect(isEnded).toBe(true)
    silence.open()
  })

  it('does not mind that a source uses its buffer again', async () => {
    const { store } = await newStore()
    const blob = sampleBlob(20 * MIB)
    const buffer = new Uint8Array(100_000)
    const source = (async function* () {
      for await (const piece of inPieces(blob.data)) {
        buffer.set(piece)
        yield buffer.subarray(0, piece.length)
      }
    })()
    expect(await store.addStream(source)).toEqual({ hash: blob.hash, size: blob.size })
    await serve(store, blob.hash)
  })

  it('of many at once holds only so many in memory', async () => {
    const { storage, store } = await newStore()
    let now = 0
    let most = 0
    let begun = 0
    const source = async function* () {
      begun++
      yield* inPieces(sampleBlob(9 * MIB, begun).data, MIB)
    }
    storage.before = async ({ method }) => {
      if (method === 'upload') most = Math.max(most, ++now)
      if (method === 'move') now--
    }
    const adding = Array.from({ length: 40 }, () => store.addStream(source()))
    await until(() => begun === 32)
    await Promise.all(adding)
    expect(most).toBeLessThanOrEqual(4)
  })
})

describe('adding to a server that falls silent', () => {
  const cases: [Way, Operation][] = [
    ['addPath', 'UploadPart'],
    ['addPath', 'CompleteMultipartUpload'],
    ['addStream', 'UploadPart'],
    ['addStream', 'CompleteMultipartUpload'],
    ['addStream', 'CopyObject']
  ]
  it.concurrent.each(cases)('ends soon after it was told to (%s, %s)', async (way, operation) => {
    await using server = await S3TestServer.start()
    const { url: endpoint, accessKey, secretKey, bucket } = server
    const store = await ObjectStore.inMemory({ type: 's3', endpoint, accessKey, secretKey, bucket })
    const stop = new AbortController()
    const reason = new Error('enough')
    server.faults.add({ operation }, { kind: 'stall', at: 'answer' }, { times: Infinity })
    const adding = ways[way](store, sampleBlob(20 * MIB), stop.signal).catch(error => error)
    await until(() => server.requests.of(operation).length > 0)
    server.faults.add({}, { kind: 'stall', at: 'request' }, { times: Infinity })
    const told = performance.now()
    stop.abort(reason)
    expect(await adding).toBe(reason)
    await store.close()
    // Giving up the upload takes 2 s, and deleting what it may have become. An unbounded wait takes 30 s for each try.
    expect(performance.now() - told).toBeLessThan(20_000)
  })
})

it('a writer takes no blob that is larger than the store may', async () => {
  const { store } = await newStore({ maxBlobSize: 3 * MIB })
  const blob = sampleBlob(3 * MIB + 1)
  await expect(store.writer(blob.hash, blob.size)).rejects.toMatchObject({ code: 'ERR_BLOB_TOO_LARGE' })
  await receive(store, sampleBlob(3 * MIB), ChunkRanges.all)
})

it.each([Number.NaN, -1])('maxBlobSize cannot be %d', async maxBlobSize => {
  await expect(newStore({ maxBlobSize })).rejects.toThrow('maxBlobSize is a number of bytes')
})

it('only so many blobs are added at the same time', async () => {
  const { storage, store } = await newStore()
  let now = 0
  let most = 0
  const allAtOnce = Promise.withResolvers<void>()
  storage.before = async ({ method }) => {
    if (method !== 'put') return
    most = Math.max(most, ++now)
    if (now === 32) allAtOnce.resolve()
    await allAtOnce.promise
    await new Promise(resolve => setTimeout(resolve, 1))
    now--
  }
  await Promise.all(Array.from({ length: 200 }, (_, i) => store.addBytes(sampleBlob(100, i + 1).data)))
  expect(most).toBe(32)
})
