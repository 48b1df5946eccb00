import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EMPTY_HASH } from '../../src/hash.ts'
import { type Blobs, ProviderUnreachableError } from '../../src/libp2p/index.ts'
import { NoSuchPathError, planPath } from '../../src/node/collection-path.ts'
import { addCollection } from '../../src/node/collections.ts'
import { planExport } from '../../src/node/export-plan.ts'
import { fetchNamed } from '../../src/node/fetch-named.ts'
import { NotACollectionError, parseWantedPath } from '../../src/node/provider-list.ts'
import { NotAvailableError } from '../../src/protocol/errors.ts'
import { HashSequence } from '../../src/protocol/hash-sequence.ts'
import { UnsafeNameError } from '../../src/protocol/safe-name.ts'
import { encodeTicket } from '../../src/protocol/ticket.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { randomData } from '../helpers/data.ts'
import { localNode, strangersCollection } from './support.ts'

const HEX = '5abb6c4e5673f798d6092ce5343501e6051fe6b9770d165d791747d31ae1cd0c'
const PEER = '12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8'

describe('what a user names', () => {
  it('may have a path behind it, whatever is in the path', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.constantFrom('/', '//'), (path, slash) => {
        fc.pre(!path.startsWith('/') && !path.endsWith('/'))
        expect(parseWantedPath(`${HEX}${slash}${path}/`)).toMatchObject({ path, format: 'hash_seq' })
      })
    )
    expect(parseWantedPath(HEX)).toMatchObject({ path: undefined, format: undefined })
    expect(parseWantedPath(`${HEX}/`)).toMatchObject({ path: undefined, format: undefined })
  })

  it('has no path in a ticket of a single blob', () => {
    const { hash } = parseWantedPath(HEX)
    const ticket = encodeTicket({ hash, format: 'raw', peerId: PEER, addrs: [] })
    expect(() => parseWantedPath(`${ticket}/a`)).toThrow(NotACollectionError)
    expect(parseWantedPath(ticket)).toMatchObject({ format: 'raw', path: undefined })
  })
})

describe('a path in a collection', () => {
  it('is one file, or all that is below a folder, whatever else is in it', async () => {
    const store = new MemoryStore()
    const { hash } = await strangersCollection(store, [
      ['x/a', '1'],
      ['x/ab', '2'],
      ['x/a.d/b', '3'],
      ['x/dir/b', '4'],
      ['x/dir/sub/c', '5'],
      ['../escape', '6'],
      ['x/dir2/d', '7']
    ])
    expect(await planPath(store, hash, 'x/a')).toMatchObject({
      name: 'a',
      kind: 'file',
      files: [{ segments: [] }]
    })
    const plan = await planPath(store, hash, 'x/dir')
    expect(plan).toMatchObject({ name: 'dir', kind: 'folder' })
    expect(plan.files.map(({ segments }) => segments.join('/'))).toEqual(['b', 'sub/c'])
    expect((await planPath(store, hash, 'x')).files).toHaveLength(6)
  })

  it.each(['../escape', '..', 'a', 'sub/CON'])('that is unsafe is refused (%s)', async path => {
    const store = new MemoryStore()
    const names = path === 'a' ? ['a', 'a'] : [path === '..' ? '../escape' : path]
    const { hash } = await strangersCollection(
      store,
      names.map(name => [name, name])
    )
    await expect(planPath(store, hash, path)).rejects.toThrow(UnsafeNameError)
  })

  it('may be written with its accents composed in the other way', async () => {
    const store = new MemoryStore()
    const { hash } = await strangersCollection(store, [['e\u0301te\u0301/日本', 'x']])
    expect(await planPath(store, hash, '\u00e9t\u00e9/日本')).toMatchObject({ name: '日本', kind: 'file' })
  })

  it('is a number where there are no names', async () => {
    const store = new MemoryStore()
    const children = await Promise.all(
      Array.from({ length: 11 }, (_, i) => store.addBytes(Buffer.from(`blob ${i}`)))
    )
    const { hash } = await store.addBytes(HashSequence.fromHashes(children.map(child => child.hash)).bytes)
    const { files } = await planPath(store, hash, '07.bin')
    expect(files[0]?.hash.equals(children[7]!.hash)).toBe(true)
  })

  it.each([
    ['x/dri/b', 'did you mean "x/dir/b"?'],
    ['dir/b', 'did you mean "x/dir/b"?'],
    ['x/DIR', 'did you mean "x/dir"?'],
    ['x/dir/bb', 'did you mean "x/dir/b"?'],
    ['quite/different', 'lists what is in it']
  ])('that is not there is told with a guess: %s', async (path, hint) => {
    const store = new MemoryStore()
    const { hash } = await strangersCollection(store, [
      ['x/other', '1'],
      ['x/dir/b', '2']
    ])
    const error = await planPath(store, hash, path).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(NoSuchPathError)
    expect((error as Error).message).toContain(hint)
  })
})

describe('a plan', () => {
  it('for a hundred thousand files is made in no more than a few seconds', async () => {
    const store = new MemoryStore()
    const entries = Array.from({ length: 100_000 }, (_, i) => ({
      name: `tree/${i % 1000}/${'ünï'.repeat(5)} ${i}`,
      hash: EMPTY_HASH
    }))
    const { root } = await addCollection(store, entries)
    const plan = await planExport(store, root.hash, 'hash_seq')
    expect(plan.files).toHaveLength(100_000)
    expect((await planPath(store, root.hash, 'tree/7')).files).toHaveLength(100)
  })
})

/** A node on this machine that ends with the test. */
async function node(): Promise<
  AsyncDisposable & { blobs: Blobs; store: MemoryStore; addrs: Multiaddr[]; stop(): Promise<void> }
> {
  const store = new MemoryStore()
  const running = await localNode({ store })
  const stop = () => running.stop()
  return {
    blobs: running.blobs,
    store,
    addrs: running.addrs.map(addr => multiaddr(addr)),
    stop,
    [Symbol.asyncDispose]: stop
  }
}

describe('fetching a path', () => {
  const CONTENTS = Array.from({ length: 20 }, (_, i) => [`t/sub/${i}`, randomData(1000 * i + 1, i)] as const)

  it('brings the files of a folder in one request, and asks the next provider for what one lacks', async () => {
    await using full = await node()
    await using poor = await node()
    await using getter = await node()
    const { hash } = await strangersCollection(full.store, [['t/else', 'x'], ...CONTENTS])
    for await (const { hash: blob } of full.store.list()) {
      const reader = await full.store.open(blob)
      const bytes = new Uint8Array(reader!.size)
      await reader!.readData(0, bytes)
      await reader!.close()
      await poor.store.addBytes(bytes)
    }
    const lacking = (await planPath(full.store, hash, 't/sub/13')).files[0]!.hash
    await poor.store.delete(lacking)
    const requests: string[] = []
    full.blobs.addEventListener('request', ({ detail }) => requests.push(detail.request?.type ?? 'none'))
    const progress: number[] = []
    const result = await fetchNamed(getter.blobs, getter.store, hash, {
      from: [...poor.addrs, ...full.addrs],
      format: 'hash_seq',
      path: 't/sub',
      onProgress: ({ received, blobsDone, blobs }) => {
        expect(blobs).toBe(20)
        expect(blobsDone).toBeLessThanOrEqual(20)
        progress.push(received)
      }
    })
    const size = CONTENTS.reduce((sum, [, bytes]) => sum + bytes.length, 0)
    expect(result).toMatchObject({ size, received: size, had: 0, blobs: 20 })
    expect(progress).toEqual([...progress].sort((a, b) => a - b))
    expect(progress.at(-1)).toBe(size)
    // The list and the names may have come from either.
    expect(requests.filter(type => type !== 'get')).toEqual(['get_many'])
    for (const { hash: blob } of result.plan.files) {
      expect((await getter.store.status(blob)).state).toBe('complete')
    }
    const other = (await planPath(full.store, hash, 't/else')).files[0]!.hash
    expect((await getter.store.status(other)).state).toBe('absent')
    const again = await fetchNamed(getter.blobs, getter.store, hash, {
      from: full.addrs,
      format: 'hash_seq',
      path: 't/sub'
    })
    expect(again).toMatchObject({ size, received: 0, had: size })
  })

  it('fails with the reason of the provider when nobody has it all', async () => {
    await using poor = await node()
    await using getter = await node()
    const { hash } = await strangersCollection(poor.store, CONTENTS)
    await poor.store.delete((await planPath(poor.store, hash, 't/sub/3')).files[0]!.hash)
    const options = { format: 'hash_seq', path: 't/sub' } as const
    await expect(
      fetchNamed(getter.blobs, getter.store, hash, { ...options, from: poor.addrs })
    ).rejects.toThrow(NotAvailableError)
    await poor.stop()
    await expect(
      fetchNamed(getter.blobs, getter.store, hash, { ...options, from: poor.addrs })
    ).rejects.toThrow(ProviderUnreachableError)
  })
})
