import { mkdirSync, writeFileSync } from 'node:fs'
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ProviderUnreachableError } from '../../src/libp2p/index.ts'
import type { BlobsNode } from '../../src/node/create-node.ts'
import { importPath } from '../../src/node/import-path.ts'
import { PartFolder, PartFolderInUseError } from '../../src/node/part-folder.ts'
import { InvalidPeerError, NoProviderError, parseWanted } from '../../src/node/provider-list.ts'
import { receiveTo } from '../../src/node/receive.ts'
import { ReceiveInterruptedError } from '../../src/node/receive-interrupted.ts'
import { NotAvailableError } from '../../src/protocol/errors.ts'
import { encodeIrohTicket } from '../../src/protocol/iroh-ticket.ts'
import { UnsafeNameError } from '../../src/protocol/safe-name.ts'
import { TargetExistsError } from '../../src/store/errors.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { randomData } from '../helpers/data.ts'
import {
  differences,
  localNode,
  type Scratch,
  scratch,
  strangersCollection,
  type Tree,
  writeTree
} from './support.ts'

const TREE: Tree = { 'a.txt': 'a', 'sub/large.bin': randomData(5_000_000), 'sub/same.txt': 'a', empty: '' }

interface Setup extends AsyncDisposable {
  readonly provider: BlobsNode
  readonly folder: Scratch
  /** A ticket of TREE, as a folder called `tree`. */
  readonly ticket: string
}

async function setup(): Promise<Setup> {
  const folder = await scratch()
  await writeTree(folder.in('tree'), TREE)
  await mkdir(folder.in('here'))
  const provider = await localNode({ store: new MemoryStore() })
  const { hash } = await importPath(provider.store, folder.in('tree'))
  return {
    provider,
    folder,
    ticket: provider.ticket(hash, 'hash_seq'),
    [Symbol.asyncDispose]: async () => {
      await provider.stop()
      await folder[Symbol.asyncDispose]()
    }
  }
}

/** Receives, but is stopped when a part has arrived. */
async function receivePart(ticket: string, output: string, atLeast = 1_000_000): Promise<unknown> {
  const stopping = new AbortController()
  return await receiveTo(parseWanted(ticket), {
    output,
    signal: stopping.signal,
    onProgress: ({ received }) => {
      if (received > atLeast) stopping.abort(new Error('stopped'))
    }
  }).catch((error: unknown) => error)
}

describe('receiving', () => {
  it('a folder writes it under its own name, whole, and nothing else', async () => {
    await using it = await setup()
    const { folder, ticket } = it
    const received = await receiveTo(parseWanted(ticket), { output: `${folder.in('here')}/` })
    expect(received.path).toBe(folder.in('here', 'tree'))
    expect(await readdir(folder.in('here'))).toEqual(['tree'])
    expect(await differences(received.path, TREE)).toEqual([])
    expect(received.received).toBe(received.size)
    expect(received.had).toBe(0)
  })

  it('a folder as another name, and a raw blob as a file', async () => {
    await using it = await setup()
    const { folder, ticket, provider } = it
    await receiveTo(parseWanted(ticket), { output: folder.in('here', 'other') })
    expect(await differences(folder.in('here', 'other'), TREE)).toEqual([])
    const { hash } = await provider.store.addBytes(Buffer.from('raw'))
    const raw = await receiveTo(parseWanted(provider.ticket(hash, 'raw')), {
      output: `${folder.in('here')}/`
    })
    expect(raw.path).toBe(folder.in('here', `${hash.toString().slice(0, 16)}.bin`))
    expect((await readdir(folder.in('here'))).sort()).toEqual(
      [`${hash.toString().slice(0, 16)}.bin`, 'other'].sort()
    )
  })

  it('goes on where it was stopped', async () => {
    await using it = await setup()
    const { folder, ticket } = it
    const error = await receivePart(ticket, `${folder.in('here')}/`)
    expect(error).toBeInstanceOf(ReceiveInterruptedError)
    const [part, ...others] = await readdir(folder.in('here'))
    expect(part).toMatch(/^\.blobs-[0-9a-f]{16}\.part$/)
    expect(others).toEqual([])
    expect((error as ReceiveInterruptedError).partFolder).toBe(folder.in('here', part!))
    const received = await receiveTo(parseWanted(ticket), { output: `${folder.in('here')}/` })
    expect(received.had).toBeGreaterThanOrEqual(1_000_000)
    expect(received.received + received.had).toBe(received.size)
    expect(await readdir(folder.in('here'))).toEqual(['tree'])
    expect(await differences(received.path, TREE)).toEqual([])
  })

  it('fetches nothing again of what was being written when it was stopped', async () => {
    await using it = await setup()
    const { folder, ticket } = it
    const wanted = parseWanted(ticket)
    const part = await PartFolder.open(folder.in('here'), wanted.hash)
    await mkdir(part.workFolder)
    await writeTree(join(part.workFolder, 'tree'), TREE)
    await part.leave()
    const received = await receiveTo(wanted, { output: `${folder.in('here')}/` })
    expect(received.had).toBeGreaterThan(5_000_000)
    expect(await differences(received.path, TREE)).toEqual([])
    expect(await readdir(folder.in('here'))).toEqual(['tree'])
  })

  it.each(['tree', 'other'])('refuses a target that exists before it fetches the files (%s)', async name => {
    await using it = await setup()
    const { folder, ticket, provider } = it
    await mkdir(folder.in('here', name))
    let sent = 0
    provider.blobs.addEventListener('request', ({ detail }) => {
      sent += detail.bytes
    })
    const output = name === 'tree' ? `${folder.in('here')}/` : folder.in('here', name)
    await expect(receiveTo(parseWanted(ticket), { output })).rejects.toThrow(TargetExistsError)
    expect(sent).toBeLessThan(1000)
    expect(await readdir(folder.in('here'))).toEqual([name])
    expect(await readdir(folder.in('here', name))).toEqual([])
  })

  it('does not replace what has come up meanwhile, and keeps what has arrived', async () => {
    await using it = await setup()
    const { folder, ticket } = it
    const error = await receiveTo(parseWanted(ticket), {
      output: folder.in('here', 'out'),
      onFetched: () => {
        mkdirSync(folder.in('here', 'out'))
        writeFileSync(folder.in('here', 'out', 'mine'), 'mine')
      }
    }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ReceiveInterruptedError)
    expect((error as ReceiveInterruptedError).cause).toBeInstanceOf(TargetExistsError)
    expect(await differences(folder.in('here', 'out'), { mine: 'mine' })).toEqual([])
    const received = await receiveTo(parseWanted(ticket), { output: folder.in('here', 'out2') })
    expect(received.received).toBe(0)
    expect(await differences(folder.in('here', 'out2'), TREE)).toEqual([])
  })

  it.each(['../escape', '/absolute', 'C:/x', 'a\0b', 'con', 'a/../../b'])(
    'refuses a collection with the name %j before it fetches the files',
    async name => {
      await using it = await setup()
      const { folder, provider } = it
      const { hash } = await strangersCollection(provider.store, [
        ['good.bin', randomData(3_000_000, 7)],
        [name, 'bad']
      ])
      let sent = 0
      provider.blobs.addEventListener('request', ({ detail }) => {
        sent += detail.bytes
      })
      const wanted = parseWanted(provider.ticket(hash, 'hash_seq'))
      await expect(receiveTo(wanted, { output: `${folder.in('here')}/` })).rejects.toThrow(UnsafeNameError)
      expect(sent).toBeLessThan(1000)
      expect(await readdir(folder.in('here'))).toEqual([])
      expect((await readdir(folder.path)).sort()).toEqual(['here', 'tree'])
    }
  )

  it('a hash sequence without names makes numbered files, however large its first blob is', async () => {
    await using it = await setup()
    const { folder, provider } = it
    const large = randomData(2_000_000, 3)
    const { hash: first } = await provider.store.addBytes(large)
    const { hash } = await provider.store.addBytes(first.bytes)
    const wanted = parseWanted(provider.ticket(hash, 'hash_seq'))
    const received = await receiveTo(wanted, { output: folder.in('here', 'out') })
    expect(await differences(received.path, { '0.bin': large })).toEqual([])
    expect(received.size).toBe(2_000_000 + 32)
    expect(received.received).toBe(received.size)
  })

  it('leaves nothing when nothing has come', async () => {
    await using it = await setup()
    const { folder, ticket, provider } = it
    const missing = await new MemoryStore().addBytes(Buffer.from('not there'))
    const unknown = parseWanted(provider.ticket(missing.hash, 'raw'))
    await expect(receiveTo(unknown, { output: `${folder.in('here')}/` })).rejects.toThrow(NotAvailableError)
    await provider.stop()
    const wanted = parseWanted(ticket)
    await expect(receiveTo(wanted, { output: `${folder.in('here')}/` })).rejects.toThrow(
      ProviderUnreachableError
    )
    expect(await readdir(folder.in('here'))).toEqual([])
  })

  it('keeps what has come when the provider goes', async () => {
    await using it = await setup()
    const { folder, provider } = it
    // More than can be on its way when the provider goes.
    await writeFile(folder.in('tree', 'larger.bin'), randomData(60_000_000))
    const { hash } = await importPath(provider.store, folder.in('tree'))
    let stopping: Promise<void> | undefined
    const error = await receiveTo(parseWanted(provider.ticket(hash, 'hash_seq')), {
      output: `${folder.in('here')}/`,
      onProgress: ({ received }) => {
        if (received <= 500_000 || stopping !== undefined) return
        stopping = provider.stop()
        for (const connection of provider.libp2p.getConnections()) connection.abort(new Error('gone'))
      }
    }).catch((reason: unknown) => reason)
    await stopping
    expect(error).toBeInstanceOf(ReceiveInterruptedError)
    expect(await readdir(folder.in('here'))).toHaveLength(1)
  })

  it('into a folder that is not there, or is a file, is refused', async () => {
    await using it = await setup()
    const { folder, ticket } = it
    await writeFile(folder.in('file'), '')
    await expect(receiveTo(parseWanted(ticket), { output: folder.in('no', 'x') })).rejects.toThrow(
      'no such file'
    )
    await expect(receiveTo(parseWanted(ticket), { output: folder.in('file', 'x') })).rejects.toThrow(/folder/)
    expect((await readdir(folder.path)).sort()).toEqual(['file', 'here', 'tree'])
  })
})

describe('the folder of a transfer', () => {
  it('is used by one process at a time', async () => {
    await using folder = await scratch()
    const { hash } = await new MemoryStore().addBytes(Buffer.from('x'))
    const part = await PartFolder.open(folder.path, hash)
    await expect(PartFolder.open(folder.path, hash)).rejects.toThrow(PartFolderInUseError)
    await part.leave()
    const again = await PartFolder.open(folder.path, hash)
    expect(again.isResumed).toBe(true)
    await again.remove()
    expect(await readdir(folder.path)).toEqual([])
  })

  it.each(['', '1073741824', 'nonsense'])('is taken over from a process that died (%j)', async pid => {
    await using folder = await scratch()
    const { hash } = await new MemoryStore().addBytes(Buffer.from('x'))
    const part = await PartFolder.open(folder.path, hash)
    await part.leave()
    await writeFile(join(part.path, 'lock'), pid)
    const again = await PartFolder.open(folder.path, hash)
    await again.remove()
  })

  it('may be moved to go on elsewhere', async () => {
    await using it = await setup()
    const { folder, ticket } = it
    await receivePart(ticket, `${folder.in('here')}/`)
    const [name] = await readdir(folder.in('here'))
    await mkdir(folder.in('there'))
    await rename(folder.in('here', name!), folder.in('there', name!))
    const received = await receiveTo(parseWanted(ticket), { output: `${folder.in('there')}/` })
    expect(await differences(received.path, TREE)).toEqual([])
  })
})

describe('what is wanted', () => {
  const HASH = '5abb6c4e5673f798d6092ce5343501e6051fe6b9770d165d791747d31ae1cd0c'
  const PEER = '/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8'

  it('is a hash, that says neither format nor provider', () => {
    expect(parseWanted(HASH)).toMatchObject({ format: undefined, providers: [], peerId: undefined })
    expect(parseWanted(HASH, [PEER]).providers.map(String)).toEqual([PEER])
  })

  it('by an iroh ticket says why its node cannot be dialled', async () => {
    const ticket = encodeIrohTicket({
      hash: parseWanted(HASH).hash,
      format: 'hash_seq',
      nodeId: 'ae58ff8833241ac82d6ff7611046ed67b5072d142c588d0063e942d9a75502b6',
      relayUrl: 'https://relay.example.org./',
      addresses: ['127.0.0.1:1234']
    })
    const wanted = parseWanted(ticket)
    expect(wanted).toMatchObject({ format: 'hash_seq', providers: [] })
    const receiving = receiveTo(wanted)
    await expect(receiving).rejects.toThrow(NoProviderError)
    await expect(receiving).rejects.toThrow(/iroh.*127\.0\.0\.1:1234.*relay\.example\.org.*--peer/)
    expect(parseWanted(ticket, [PEER]).providers).toHaveLength(1)
  })

  it.each(['192.0.2.1:4001', '/ip4/192.0.2.1/udp/4001/quic-v1'])('is not asked of the peer %j', peer => {
    expect(() => parseWanted(HASH, [peer])).toThrow(InvalidPeerError)
  })
})
