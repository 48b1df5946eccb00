/** One blob from several providers. */
import { multiaddr } from '@multiformats/multiaddr'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { ChunkRanges, HashMismatchError, hashBytes } from '../../src/bao/index.ts'
import type { Hash } from '../../src/hash.ts'
import { AllProvidersFailedError, type FetchProgress } from '../../src/libp2p/index.ts'
import { SizeMismatchError } from '../../src/store/errors.ts'
import { randomData } from '../helpers/data.ts'
import {
  addrsOf,
  copyRanges,
  corrupt,
  counting,
  expectSame,
  limitedTo,
  MIB,
  type SwarmNode,
  sleep,
  slowerThan,
  stallingAfter,
  startNode,
  stopNodes,
  tamper,
  until,
  untilQuiet,
  withoutObserve
} from './swarm.ts'

afterEach(stopNodes)

const PIECE_CHUNKS = 1024

/** What was served in all, as a share of the blob. */
function servedShare(size: number, ...nodes: readonly SwarmNode[]): number {
  return nodes.reduce((sum, { served }) => sum + served.bytes, 0) / size
}

describe('a blob from several providers', () => {
  it('comes from one in one request', async () => {
    const [provider, getter] = [await startNode(), await startNode()]
    const { hash } = await provider.store.addBytes(randomData(16 * MIB))
    await getter.services.blobs.fetch(hash, { from: addrsOf(provider) })
    await untilQuiet(getter, provider)
    expect(provider.served.requests).toBe(1)
  })

  it('comes from two equal ones in equal shares, from both at the same time, and hardly a byte twice', {
    retry: 2
  }, async () => {
    const data = randomData(16 * MIB)
    // So slow that the processor does not matter.
    const [a, b] = await Promise.all([1, 2].map(() => startNode({ wrap: limitedTo(3 * MIB) })))
    for (const { store } of [a!, b!]) await store.addBytes(data)
    const { hash } = hashBytes(data)
    const getter = await startNode()
    let before = 0
    let ofBoth = 0
    await getter.services.blobs.fetch(hash, {
      from: addrsOf(a!, b!),
      onProgress: ({ received }) => {
        const areBusy = [a!, b!].every(({ served }) => served.begun > served.requests)
        if (areBusy) ofBoth += received - before
        before = received
      }
    })
    await expectSame(getter.store, hash, data)
    await untilQuiet(getter, a!, b!)
    for (const node of [a!, b!]) {
      expect(node.served.bytes / data.length).toBeGreaterThan(0.35)
      expect(node.served.bytes / data.length).toBeLessThan(0.65)
    }
    expect(servedShare(data.length, a!, b!)).toBeLessThan(1.1)
    expect(ofBoth / data.length).toBeGreaterThan(0.5)
  })

  it('is shared by speed, and the slow one does not keep the others waiting', async () => {
    const data = randomData(16 * MIB)
    const byFast = { bytes: 0 }
    const limited = limitedTo(8 * MIB)
    const [slow, fast, getter] = [
      await startNode({ wrap: slowerThan(byFast, 32) }),
      await startNode({ wrap: store => counting(byFast)(limited(store)) }),
      await startNode()
    ]
    for (const { store } of [slow, fast]) await store.addBytes(data)
    const { hash } = hashBytes(data)
    await getter.services.blobs.fetch(hash, { from: addrsOf(slow, fast) })
    await expectSame(getter.store, hash, data)
    await untilQuiet(getter, slow, fast)
    expect(slow.served.bytes / data.length).toBeLessThan(0.15)
    expect(servedShare(data.length, slow, fast)).toBeLessThan(1.1)
  })

  it('comes though one of three is not there, and though one is killed half way', async () => {
    const data = randomData(24 * MIB)
    const nodes = await Promise.all([1, 2, 3].map(() => startNode({ wrap: limitedTo(6 * MIB) })))
    for (const { store } of nodes) await store.addBytes(data)
    const [dies, has, hasToo] = nodes as [SwarmNode, SwarmNode, SwarmNode]
    const gone = await startNode()
    const from = addrsOf(gone, dies, has, hasToo)
    await gone.stop()
    const getter = await startNode()
    let isKilled = false
    const progress: FetchProgress[] = []
    const result = await getter.services.blobs.fetch(hashBytes(data).hash, {
      from,
      onProgress: now => {
        progress.push(now)
        if (now.received > data.length / 2 && !isKilled) {
          isKilled = true
          for (const connection of dies.getConnections()) connection.abort(new Error('killed'))
          void dies.stop()
        }
      }
    })
    expect(isKilled).toBe(true)
    expect(result).toMatchObject({ received: data.length, had: 0, size: data.length })
    await expectSame(getter.store, result.hash, data)
    await untilQuiet(getter, has, hasToo)
    expect(servedShare(data.length, dies, has, hasToo)).toBeLessThan(1.1)
    for (const [i, { received }] of progress.entries())
      expect(received).toBeGreaterThanOrEqual(progress[i - 1]?.received ?? 0)
    expect(progress.at(-1)).toMatchObject({ received: data.length, total: data.length, blobsDone: 1 })
    expect(Math.max(...progress.map(({ providers }) => providers))).toBe(3)
  })

  it('comes though one stalls, and the stream of that one is reset', async () => {
    const data = randomData(20 * MIB)
    const [stalls, has] = [
      await startNode({ wrap: stallingAfter(1.5 * MIB) }),
      await startNode({ wrap: limitedTo(8 * MIB) })
    ]
    for (const { store } of [stalls, has]) await store.addBytes(data)
    const getter = await startNode({ limits: { stallTimeoutMs: 1500 } })
    const { hash } = hashBytes(data)
    await getter.services.blobs.fetch(hash, { from: addrsOf(stalls, has) })
    await expectSame(getter.store, hash, data)
    await untilQuiet(getter, stalls, has)
    expect(has.served.bytes / data.length).toBeLessThan(1.1)
  })

  it('is taken over from one that has become silent long before that one counts as stalled', async () => {
    const data = randomData(8 * MIB)
    const [silent, has] = [
      await startNode({ wrap: stallingAfter(1.5 * MIB) }),
      await startNode({ wrap: limitedTo(4 * MIB) })
    ]
    for (const { store } of [silent, has]) await store.addBytes(data)
    // Longer than the test may take.
    const getter = await startNode({ limits: { stallTimeoutMs: 300_000, idleTimeoutMs: 300_000 } })
    const { hash } = hashBytes(data)
    await getter.services.blobs.fetch(hash, { from: addrsOf(silent, has) })
    await expectSame(getter.store, hash, data)
    await untilQuiet(getter, silent, has)
  })

  it('comes though one sends wrong bytes: it is named, and asked no more', async () => {
    const data = randomData(12 * MIB)
    const [lies, has, getter] = [
      await startNode(),
      await startNode({ wrap: limitedTo(8 * MIB) }),
      await startNode()
    ]
    for (const { store } of [lies, has]) await store.addBytes(data)
    await corrupt(lies, 700_000)
    const misbehaved: { peer: unknown; hash: unknown; error: Error }[] = []
    getter.services.blobs.addEventListener('misbehaved', ({ detail }) => misbehaved.push(detail))
    const { hash } = hashBytes(data)
    await getter.services.blobs.fetch(hash, { from: addrsOf(lies, has) })
    await expectSame(getter.store, hash, data)
    expect(misbehaved.map(({ peer }) => String(peer))).toEqual([lies.peerId.toString()])
    expect(misbehaved[0]!.error).toBeInstanceOf(HashMismatchError)
    expect(String(misbehaved[0]!.hash)).toBe(hash.toString())
    await untilQuiet(getter)
    // What it sent before it was found out, and no more.
    expect(lies.served.bytes).toBeLessThan(4 * MIB)
  })

  it('names who sends wrong bytes also when a list of blobs is asked for', async () => {
    const [lies, getter] = [await startNode(), await startNode()]
    const blobs = [1, 2, 3].map(seed => randomData(300_000, seed))
    for (const data of blobs) await lies.store.addBytes(data)
    await corrupt(lies, 400_000)
    const misbehaved: { peer: unknown; hash: unknown }[] = []
    getter.services.blobs.addEventListener('misbehaved', ({ detail }) => misbehaved.push(detail))
    const hashes = blobs.map(data => hashBytes(data).hash)
    const fetching = getter.services.blobs.fetchMany(hashes, { from: lies.getMultiaddrs() })
    await expect(fetching).rejects.toThrow(HashMismatchError)
    expect(misbehaved.map(({ peer, hash }) => [String(peer), String(hash)])).toEqual([
      [lies.peerId.toString(), hashes[1]!.toString()]
    ])
  })

  it('does not wait long for a list of blobs from one who sends nothing more, when there are others', async () => {
    const [silent, getter] = [
      await startNode({ wrap: stallingAfter(100_000) }),
      await startNode({ limits: { stallTimeoutMs: 300, idleTimeoutMs: 300_000 } })
    ]
    const { hash } = await silent.store.addBytes(randomData(300_000))
    const fetching = getter.services.blobs.fetchMany([hash], {
      from: silent.getMultiaddrs(),
      hasOthers: true
    })
    await expect(fetching).rejects.toMatchObject({ code: 'ERR_STREAM_IDLE_TIMEOUT' })
  })

  it('is asked of one who often sent wrong bytes only when nobody else can give it', async () => {
    const [lies, has, getter] = [await startNode(), await startNode(), await startNode()]
    const blobs = [1, 2, 3, 4].map(seed => randomData(2 * MIB, seed))
    for (const data of blobs) for (const { store } of [lies, has]) await store.addBytes(data)
    await corrupt(lies, 100_000)
    for (const data of blobs.slice(0, 3)) {
      const fetching = getter.services.blobs.fetch(hashBytes(data).hash, { from: addrsOf(lies) })
      await expect(fetching).rejects.toThrow(HashMismatchError)
    }
    const before = lies.served.bytes
    const { hash } = hashBytes(blobs[3]!)
    await getter.services.blobs.fetch(hash, { from: addrsOf(lies, has) })
    expect(lies.served.bytes).toBe(before)
    const only = getter.services.blobs.fetch(hashBytes(blobs[2]!).hash, { from: addrsOf(lies) })
    await expect(only).rejects.toThrow(HashMismatchError)
  })

  it('is asked of one who lies about its size no more, once another one has proven it', async () => {
    const data = randomData(3 * MIB, 7)
    const [lies, has, getter] = [
      await startNode(),
      await startNode({ wrap: limitedTo(4 * MIB) }),
      await startNode()
    ]
    for (const { store } of [lies, has]) await store.addBytes(data)
    // The left half of the tree is the same for any size from 2 to 4 MiB.
    await tamper(lies, (piece, sent) => {
      if (sent === 0) new DataView(piece.buffer).setBigUint64(0, BigInt(3 * MIB + 500_000), true)
    })
    const misbehaved: { peer: unknown; error: Error }[] = []
    getter.services.blobs.addEventListener('misbehaved', ({ detail }) => misbehaved.push(detail))
    const { hash } = hashBytes(data)
    const result = await getter.services.blobs.fetch(hash, { from: addrsOf(lies, has) })
    await expectSame(getter.store, hash, data)
    expect(result).toMatchObject({ received: data.length, size: data.length })
    expect(misbehaved.map(({ peer }) => String(peer))).toEqual([lies.peerId.toString()])
    expect([SizeMismatchError, HashMismatchError]).toContain(misbehaved[0]!.error.constructor)
  })

  it('comes from a peer that is named twice, by the address that works', async () => {
    const data = randomData(3 * MIB)
    const [gone, has, getter] = [await startNode(), await startNode(), await startNode()]
    const { hash } = await has.store.addBytes(data)
    const [addr] = addrsOf(has)
    const [wrong] = addrsOf(gone)
    await gone.stop()
    const [tcp] = wrong!.toString().split('/p2p/')
    const from = [multiaddr(`${tcp}/p2p/${has.peerId}`), ...addrsOf(getter), addr!]
    await getter.services.blobs.fetch(hash, { from })
    await expectSame(getter.store, hash, data)
  })

  it('ends with the reasons of all when nobody can give it', async () => {
    const data = randomData(3 * MIB)
    const [empty, gone, lies, refuses] = [
      await startNode(),
      await startNode(),
      await startNode(),
      await startNode({ authorize: () => false })
    ]
    await lies.store.addBytes(data)
    await corrupt(lies, 100_000)
    const from = addrsOf(empty, gone, lies, refuses)
    await gone.stop()
    const getter = await startNode()
    const failed: unknown[] = []
    getter.services.blobs.addEventListener('failed', ({ detail }) => failed.push(...detail.errors))
    const error = await getter.services.blobs.fetch(hashBytes(data).hash, { from }).catch(error => error)
    expect(error).toBeInstanceOf(AllProvidersFailedError)
    const codes = ['ERR_NOT_AVAILABLE', 'ERR_PROVIDER_UNREACHABLE', 'ERR_HASH_MISMATCH', 'ERR_REFUSED']
    expect(error.errors.map(({ code }: { code: string }) => code)).toEqual(codes)
    for (const addr of from) expect(error.message).toContain(addr.toString())
    expect(failed).toEqual(error.errors)
    await untilQuiet(getter)
  })
})

describe('a blob from providers that hold a part of it', () => {
  it.each([true, false])(
    'comes from two whose parts make the whole (they can tell what they hold: %s)',
    async canTell => {
      const data = randomData(10 * MIB + 12_345)
      const [whole, a, b, getter] = await Promise.all([1, 2, 3, 4].map(() => startNode()))
      const { hash } = await whole!.store.addBytes(data)
      const part = ChunkRanges.range(0, 3 * PIECE_CHUNKS).union(
        ChunkRanges.range(5 * PIECE_CHUNKS, 7 * PIECE_CHUNKS)
      )
      await copyRanges(whole!.store, a!.store, hash, part)
      await copyRanges(whole!.store, b!.store, hash, ChunkRanges.all.subtract(part))
      // Who knows no Observe ends the stream without a byte, as who does not speak our own protocol may.
      if (!canTell) for (const node of [a!, b!]) await withoutObserve(node)
      const from = addrsOf(a!, b!)
      const result = await getter!.services.blobs.fetch(hash, { from })
      await expectSame(getter!.store, hash, data)
      expect(result).toMatchObject({ received: data.length, had: 0 })
      await untilQuiet(getter!)
      if (canTell) expect(servedShare(data.length, a!, b!)).toBeLessThan(1.03)
    }
  )

  it('comes from one that is still receiving it', async () => {
    const data = randomData(8 * MIB)
    const [source, grows, empty, getter] = [
      await startNode({ wrap: limitedTo(4 * MIB) }),
      await startNode(),
      await startNode(),
      await startNode()
    ]
    const { hash } = await source.store.addBytes(data)
    const growing = grows.services.blobs.fetch(hash, { from: addrsOf(source) })
    await until(() => grows.getConnections().length > 0)
    while ((await grows.store.status(hash)).state === 'absent') await sleep(10)
    const result = await getter.services.blobs.fetch(hash, { from: addrsOf(grows, empty) })
    await growing
    await expectSame(getter.store, hash, data)
    expect(result.received).toBe(data.length)
    await untilQuiet(getter, grows)
    expect(servedShare(data.length, grows)).toBeLessThan(1.1)
  })

  it('fails when what is missing does not come in time, and says who lacks what', async () => {
    const data = randomData(6 * MIB)
    const [whole, a, b] = await Promise.all([1, 2, 3].map(() => startNode()))
    const getter = await startNode({ limits: { stallTimeoutMs: 1000 } })
    const { hash } = await whole!.store.addBytes(data)
    await copyRanges(whole!.store, a!.store, hash, ChunkRanges.range(0, 2 * PIECE_CHUNKS))
    await copyRanges(whole!.store, b!.store, hash, ChunkRanges.range(0, 3 * PIECE_CHUNKS))
    const error = await getter.services.blobs.fetch(hash, { from: addrsOf(a!, b!) }).catch(error => error)
    expect(error).toBeInstanceOf(AllProvidersFailedError)
    expect(await getter.store.status(hash)).toMatchObject({ ranges: ChunkRanges.range(0, 3 * PIECE_CHUNKS) })
    await untilQuiet(getter)
  })

  it('comes whatever each of them holds, as long as all of it is somewhere', async () => {
    const nodes = await Promise.all(Array.from({ length: 5 }, () => startNode()))
    const [whole, getter] = [await startNode(), await startNode()]
    let seed = 100
    const pieces = 9
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.integer({ min: 0, max: 2 ** pieces - 1 }), { minLength: 1, maxLength: 3 }), {
          minLength: 2,
          maxLength: 5
        }),
        fc.integer({ min: 1, max: pieces * MIB }),
        async (masks, size) => {
          const data = randomData(size, seed++)
          const { hash } = await whole.store.addBytes(data)
          const holders = nodes.slice(0, masks.length)
          const held = masks.map(([mask]) => rangesOf(mask!, pieces))
          const union = held.reduce((all, ranges) => all.union(ranges))
          held[0] = held[0]!.union(ChunkRanges.all.subtract(union))
          for (const [i, node] of holders.entries()) {
            const ranges = held[i]!.intersect(ChunkRanges.range(0, Math.ceil(size / 1024)))
            if (!ranges.isEmpty) await copyRanges(whole.store, node.store, hash, ranges)
          }
          const result = await getter.services.blobs.fetch(hash, { from: addrsOf(...holders) })
          expect(result).toMatchObject({ received: size, had: 0, size })
          await expectSame(getter.store, hash, data)
          for (const { store } of [...nodes, whole, getter]) await store.delete(hash)
        }
      ),
      { numRuns: 25 }
    )
  })
})

describe('a blob that is wanted twice at once', () => {
  it('is fetched once; both are told of it, and the providers of both are asked', async () => {
    const data = randomData(12 * MIB)
    const [a, b] = await Promise.all([1, 2].map(() => startNode({ wrap: limitedTo(4 * MIB) })))
    for (const { store } of [a!, b!]) await store.addBytes(data)
    const getter = await startNode()
    const { hash } = hashBytes(data)
    const fetched: unknown[] = []
    getter.services.blobs.addEventListener('fetched', ({ detail }) => fetched.push(detail))
    const told = [0, 0]
    const fetch = (node: SwarmNode, i: number) =>
      getter.services.blobs.fetch(hash, {
        from: addrsOf(node),
        onProgress: ({ received }) => {
          told[i] = received
        }
      })
    const first = fetch(a!, 0)
    await until(() => told[0]! > 0)
    const results = await Promise.all([first, fetch(b!, 1)])
    await expectSame(getter.store, hash, data)
    expect(results[0]).toEqual(results[1])
    expect(told).toEqual([data.length, data.length])
    expect(fetched.length).toBe(1)
    await untilQuiet(getter, a!, b!)
    expect(b!.served.bytes).toBeGreaterThan(MIB)
    // What was on its way from the one when the other came is asked for once more: on a busy machine that is up to 2 MiB.
    expect(servedShare(data.length, a!, b!)).toBeLessThan(1.25)
  })

  it('goes on when one of the two gives up, and ends at once when both have', async () => {
    const data = randomData(12 * MIB)
    const provider = await startNode({ wrap: limitedTo(4 * MIB) })
    const { hash } = await provider.store.addBytes(data)
    const getter = await startNode()
    const aborts = [new AbortController(), new AbortController()]
    let received = 0
    const fetch = (signal: AbortSignal) =>
      getter.services.blobs.fetch(hash, {
        from: addrsOf(provider),
        signal,
        onProgress: progress => {
          received = progress.received
        }
      })
    const [one, other] = aborts.map(({ signal }) => fetch(signal))
    other!.catch(() => undefined)
    await until(() => received > MIB)
    aborts[0]!.abort(new Error('the first has had enough'))
    await expect(one).rejects.toThrow('the first has had enough')
    const before = received
    await until(() => received > before + MIB)
    aborts[1]!.abort(new Error('the second too'))
    await expect(other).rejects.toThrow('the second too')
    await untilQuiet(getter)
    await until(() => provider.served.requests === 1)
    expect((await getter.store.status(hash)).state).toBe('partial')
    const result = await fetch(new AbortController().signal)
    expect(result.had).toBeGreaterThan(MIB)
    await expectSame(getter.store, hash, data)
  })

  it('fails for the one whose own progress handler throws', async () => {
    const data = randomData(4 * MIB)
    const provider = await startNode()
    const { hash } = await provider.store.addBytes(data)
    const getter = await startNode()
    const from = addrsOf(provider)
    const throws = getter.services.blobs.fetch(hash, {
      from,
      onProgress: () => {
        throw new Error('no room on the screen')
      }
    })
    const works = getter.services.blobs.fetch(hash, { from })
    await expect(throws).rejects.toThrow('no room on the screen')
    await works
    await expectSame(getter.store, hash, data)
  })
})

describe('a fetch that is given up', () => {
  it('ends at once, whatever its providers are doing, and leaves nothing behind', async () => {
    const data = randomData(8 * MIB)
    const [slow, stalls, partial, dies, whole] = [
      await startNode({ wrap: stallingAfter(2 * MIB) }),
      await startNode({ wrap: stallingAfter(0) }),
      await startNode(),
      await startNode(),
      await startNode()
    ]
    for (const { store } of [slow, stalls, dies, whole]) await store.addBytes(data)
    const { hash } = hashBytes(data)
    await copyRanges(whole.store, partial.store, hash, ChunkRanges.range(0, 1500))
    const from = addrsOf(dies, slow, stalls, partial)
    await dies.stop()
    // Longer than the test may take.
    const getter = await startNode({ limits: { stallTimeoutMs: 300_000, idleTimeoutMs: 300_000 } })
    const abort = new AbortController()
    let toldAfter = 0
    const fetching = getter.services.blobs.fetch(hash, {
      from,
      signal: abort.signal,
      onProgress: () => {
        if (abort.signal.aborted) toldAfter++
      }
    })
    fetching.catch(() => undefined)
    // One is sending, one is waited for, one tells what it holds, one is to be tried again.
    await until(() => partial.served.begun > partial.served.requests && slow.served.begun > 0)
    abort.abort(new Error('enough'))
    await expect(fetching).rejects.toThrow('enough')
    await untilQuiet(getter, slow, stalls, partial)
    const asked = slow.served.begun
    await sleep(1200)
    expect(slow.served.begun).toBe(asked)
    expect(toldAfter).toBe(0)
  })
})

describe('limits of fetching', () => {
  it('so many fetches at a time, the others in order', async () => {
    const asked: PromiseWithResolvers<boolean>[] = []
    const provider = await startNode({
      authorize: () => {
        asked.push(Promise.withResolvers())
        return asked.at(-1)!.promise
      }
    })
    const hashes: Hash[] = []
    for (let seed = 1; seed <= 6; seed++)
      hashes.push((await provider.store.addBytes(randomData(MIB, seed))).hash)
    const getter = await startNode({ limits: { maxFetches: 2 } })
    const abort = new AbortController()
    const ended: number[] = []
    const fetches = hashes.map(async (hash, i) => {
      const signal = i === 3 ? abort.signal : undefined
      await getter.services.blobs.fetch(hash, { from: addrsOf(provider), signal })
      ended.push(i)
    })
    abort.abort(new Error('not any more'))
    await expect(fetches[3]).rejects.toThrow('not any more')
    for (let answered = 0; answered < 5; answered++) {
      await until(() => asked.length >= Math.min(answered + 2, 5))
      // Time for others to ask who should not.
      await sleep(20)
      expect(asked.length).toBe(Math.min(answered + 2, 5))
      asked[answered]!.resolve(true)
      await until(() => ended.length > answered)
    }
    await Promise.all(fetches.filter((_, i) => i !== 3))
    expect([...ended.slice(0, 2).sort(), ...ended.slice(2)]).toEqual([0, 1, 2, 4, 5])
  })

  it('so many providers at a time; others take the places of those that fall out', async () => {
    const data = randomData(6 * MIB)
    const nodes = await Promise.all([1, 2, 3, 4, 5].map(() => startNode()))
    for (const { store } of nodes.slice(2)) await store.addBytes(data)
    const getter = await startNode({ limits: { maxProvidersPerFetch: 2 } })
    let most = 0
    const { hash } = hashBytes(data)
    await getter.services.blobs.fetch(hash, {
      from: addrsOf(...nodes),
      onProgress: ({ providers }) => {
        most = Math.max(most, providers)
      }
    })
    await expectSame(getter.store, hash, data)
    expect(most).toBeLessThanOrEqual(2)
    expect(most).toBeGreaterThan(0)
  })
})

/** The pieces whose bits are set. */
function rangesOf(mask: number, pieces: number): ChunkRanges {
  let ranges = ChunkRanges.empty
  for (let i = 0; i < pieces; i++) {
    if ((mask >> i) & 1) ranges = ranges.union(ChunkRanges.range(i * PIECE_CHUNKS, (i + 1) * PIECE_CHUNKS))
  }
  return ranges
}
