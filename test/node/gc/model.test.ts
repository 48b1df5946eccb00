/**
 * Blobs, tags, leases and garbage collection, in any order and at the same time, against a simple model: what is protected is never
 * lost, and what is not is gone after a collection.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Hash } from '../../../src/hash.ts'
import { collectGarbage, IncompleteSequenceError } from '../../../src/node/gc/collect.ts'
import { assertComplete, receive } from '../../../src/store/compliance/checks.ts'
import { groups, type Sample, sample } from '../../../src/store/compliance/samples.ts'
import { BlobDeletedError } from '../../../src/store/errors.ts'
import type { BlobFormat, BlobStore, HashAndFormat, Lease } from '../../../src/store/index.ts'
import { LegacyFsStore } from '../../../src/store/legacy-fs/index.ts'
import { MemoryStore } from '../../../src/store/memory/index.ts'
import { ObjectStore } from '../../../src/store/object/index.ts'
import { sampleOf } from './support.ts'

const RAW = [sample(10, 1), sample(20_000, 2), sample(40_000, 3), sample(100_000, 4), sample(5_000, 5)]
const SEQUENCES = [
  sampleOf(RAW[0]!, RAW[1]!),
  sampleOf(RAW[1]!, RAW[2]!, RAW[3]!),
  sampleOf(RAW[4]!, RAW[4]!, RAW[0]!)
]
const BLOBS = [...RAW, ...SEQUENCES]
const LINKS = new Map<string, readonly Sample[]>([
  [key(SEQUENCES[0]!), [RAW[0]!, RAW[1]!]],
  [key(SEQUENCES[1]!), [RAW[1]!, RAW[2]!, RAW[3]!]],
  [key(SEQUENCES[2]!), [RAW[4]!, RAW[0]!]]
])
const NAMES = ['a', 'b', 'c']

function key({ hash }: { readonly hash: Hash }): string {
  return hash.toString()
}

interface Root {
  readonly blob: Sample
  readonly format: BlobFormat
}

/** What should be there. */
class Model {
  held = new Map<string, 'complete' | 'partial'>()
  tags = new Map<string, Root>()
  /** Whether garbage is being collected at the moment: what is not protected may be there or not. */
  isCollecting = false
  /** Undefined when it was released. */
  leases: (Root[] | undefined)[] = []

  roots(): Root[] {
    return [...this.tags.values(), ...this.leases.flatMap(lease => lease ?? [])]
  }

  protected(): Set<string> {
    const kept = new Set<string>()
    for (const { blob, format } of this.roots()) {
      kept.add(key(blob))
      if (format === 'raw' || this.held.get(key(blob)) !== 'complete') continue
      for (const child of LINKS.get(key(blob)) ?? []) kept.add(key(child))
    }
    return kept
  }

  /** Whether it cannot be known what a tag keeps. */
  get isUnknown(): boolean {
    return [...this.tags.values()].some(
      ({ blob, format }) => format === 'hash_seq' && this.held.get(key(blob)) !== 'complete'
    )
  }

  collect(): void {
    const kept = this.protected()
    for (const hash of this.held.keys()) if (!kept.has(hash)) this.held.delete(hash)
  }
}

/** The real thing: one or two stores on the same data, as two processes would have them. */
interface Real {
  readonly stores: readonly BlobStore[]
  readonly leases: Lease[]
}

interface Step {
  /** Does it, and has the model know. */
  run(model: Model, real: Real): Promise<void>
  toString(): string
}

const formatFor = (blob: Sample, isSequence: boolean): BlobFormat =>
  isSequence && LINKS.has(key(blob)) ? 'hash_seq' : 'raw'

const named = (blob: Sample): string => `blob ${BLOBS.indexOf(blob)}`

const step = (name: string, run: Step['run']): Step => ({ run, toString: () => name })

/** `at` picks one of the stores. */
function arbitraryStep(): fc.Arbitrary<Step> {
  const at = fc.nat(1)
  const storeOf = ({ stores }: Real, i: number): BlobStore => stores[i % stores.length]!
  const blob = fc.constantFrom(...BLOBS)
  const name = fc.constantFrom(...NAMES)
  const toRoot = ({ blob: { hash }, format }: Root): HashAndFormat => ({ hash, format })
  return fc.oneof(
    fc.tuple(at, blob).map(([i, added]) =>
      step(`add ${named(added)}`, async (model, real) => {
        await storeOf(real, i).addBytes(added.data)
        model.held.set(key(added), 'complete')
        // As whoever fetches a sequence does: what it links to is known only now.
        if (!LINKS.has(key(added))) return
        await using lease = await storeOf(real, i).lease()
        await lease.protect({ hash: added.hash, format: 'hash_seq' })
      })
    ),
    fc.tuple(at, blob).map(([i, added]) =>
      step(`add ${named(added)} with a new lease`, async (model, real) => {
        const lease = await storeOf(real, i).lease()
        await storeOf(real, i).addBytes(added.data, { lease })
        const format = formatFor(added, true)
        await lease.protect({ hash: added.hash, format })
        model.held.set(key(added), 'complete')
        real.leases.push(lease)
        model.leases.push([{ blob: added, format }])
      })
    ),
    fc.tuple(at, fc.constantFrom(RAW[2]!, RAW[3]!)).map(([i, part]) =>
      step(`receive a part of ${named(part)}`, async (model, real) => {
        try {
          await receive(storeOf(real, i), part, groups(0, 1))
        } catch (error) {
          // Another process took it for garbage while it came.
          const mayBeTaken = model.isCollecting && !model.protected().has(key(part))
          if (mayBeTaken && error instanceof BlobDeletedError) return
          throw error
        }
        if (model.held.get(key(part)) !== 'complete') model.held.set(key(part), 'partial')
      })
    ),
    fc.tuple(at, name, blob, fc.boolean()).map(([i, tag, target, isSequence]) =>
      step(`tag ${named(target)} as ${tag}`, async (model, real) => {
        const root: Root = { blob: target, format: formatFor(target, isSequence) }
        await storeOf(real, i).tags.set(tag, toRoot(root))
        model.tags.set(tag, root)
      })
    ),
    fc.tuple(at, name).map(([i, tag]) =>
      step(`delete tag ${tag}`, async (model, real) => {
        expect(await storeOf(real, i).tags.delete(tag)).toBe(model.tags.delete(tag))
      })
    ),
    fc.tuple(at, name, name).map(([i, from, to]) =>
      step(`rename tag ${from} to ${to}`, async (model, real) => {
        const tag = model.tags.get(from)
        if (tag === undefined) {
          await expect(storeOf(real, i).tags.rename(from, to)).rejects.toThrow(/no tag/)
          return
        }
        await storeOf(real, i).tags.rename(from, to)
        model.tags.delete(from)
        model.tags.set(to, tag)
      })
    ),
    fc.tuple(at, blob, fc.boolean()).map(([i, target, isSequence]) =>
      step(`lease ${named(target)}`, async (model, real) => {
        const root: Root = { blob: target, format: formatFor(target, isSequence) }
        const lease = await storeOf(real, i).lease()
        await lease.protect(toRoot(root))
        real.leases.push(lease)
        model.leases.push([root])
      })
    ),
    fc.nat(9).map(which =>
      step(`release lease ${which}`, async (model, real) => {
        if (model.leases.length === 0) return
        const i = which % model.leases.length
        await real.leases[i]!.release()
        model.leases[i] = undefined
      })
    ),
    fc.tuple(at, blob).map(([i, target]) =>
      step(`delete ${named(target)}`, async (model, real) => {
        const isSure = !model.isCollecting || model.protected().has(key(target))
        const wasHeld = model.held.delete(key(target))
        const wasThere = await storeOf(real, i).delete(target.hash)
        if (isSure) expect(wasThere).toBe(wasHeld)
      })
    )
  )
}

/** Collects garbage while nothing else goes on: afterwards, exactly what is protected is there. */
function collectStep(i: number): Step {
  return step('collect', async (model, { stores }) => {
    const store = stores[i % stores.length]!
    if (model.isUnknown) {
      await expect(collectGarbage(store, { partialAgeMs: -1000 })).rejects.toThrow(IncompleteSequenceError)
    } else {
      const before = model.held.size
      const dry = await collectGarbage(store, { partialAgeMs: -1000, isDryRun: true })
      const report = await collectGarbage(store, { partialAgeMs: -1000 })
      expect(dry).toEqual(report)
      model.collect()
      expect(report).toMatchObject({ blobs: before - model.held.size, keptBlobs: model.held.size })
    }
    await expectSame(model, stores)
  })
}

/** Collects garbage while other things go on: what is protected all the time stays. */
function raceStep(i: number, others: readonly Step[]): Step {
  return step(`collect during [${others.join('; ')}]`, async (model, real) => {
    const store = real.stores[i % real.stores.length]!
    const collecting = collectGarbage(store, { partialAgeMs: -1000 }).then(
      () => undefined,
      (error: unknown) => error
    )
    model.isCollecting = true
    let safe = safeOf(model)
    for (const other of others) {
      await other.run(model, real)
      await lookAtUnsafe(model, real, safe)
      // What is protected and is there now stays from now on.
      safe = safeOf(model)
    }
    const error = await collecting
    model.isCollecting = false
    if (error !== undefined) expect(error).toBeInstanceOf(IncompleteSequenceError)
    await lookAtUnsafe(model, real, safe)
    await expectSame(model, real.stores)
  })
}

/** Has the model know what has become of blobs that were not protected all the time. */
async function lookAtUnsafe(model: Model, { stores }: Real, safe: ReadonlySet<string>): Promise<void> {
  for (const { hash } of BLOBS) {
    if (safe.has(hash.toString())) continue
    const { state } = await stores[0]!.status(hash)
    if (state === 'absent') model.held.delete(hash.toString())
    else model.held.set(hash.toString(), state)
  }
}

function safeOf(model: Model): Set<string> {
  const kept = model.protected()
  return new Set([...model.held.keys()].filter(hash => kept.has(hash)))
}

async function expectSame(model: Model, stores: readonly BlobStore[]): Promise<void> {
  for (const store of stores) {
    for (const blob of BLOBS) {
      const expected = model.held.get(key(blob)) ?? 'absent'
      expect((await store.status(blob.hash)).state, `${named(blob)}`).toBe(expected)
      if (expected === 'complete') await assertComplete(store, blob)
    }
  }
}

const plans = (): fc.Arbitrary<Step[]> => {
  const single = arbitraryStep()
  return fc.array(
    fc.oneof(
      { weight: 8, arbitrary: single },
      { weight: 1, arbitrary: fc.nat(1).map(collectStep) },
      {
        weight: 2,
        arbitrary: fc
          .tuple(fc.nat(1), fc.array(fc.oneof(single, single), { minLength: 1, maxLength: 6 }))
          .map(([i, others]) => raceStep(i, others))
      }
    ),
    { minLength: 5, maxLength: 40 }
  )
}

interface Kind {
  readonly name: string
  readonly runs: number
  readonly open: (folder: string) => Promise<BlobStore[]>
}

const KINDS: readonly Kind[] = [
  { name: 'memory', runs: 150, open: async () => [new MemoryStore()] },
  {
    name: 'legacy-fs, twice on one folder',
    runs: 60,
    open: async folder => [
      await LegacyFsStore.open(folder, { sync: 'none' }),
      await LegacyFsStore.open(folder, { sync: 'none' })
    ]
  },
  { name: 'objects in memory', runs: 80, open: async () => [await ObjectStore.ephemeral()] },
  {
    name: 'objects in a folder, twice on one database',
    runs: 40,
    open: async folder => {
      const path = join(folder, 'objects')
      return [
        await ObjectStore.local(path, { sync: 'none' }),
        await ObjectStore.local(path, { sync: 'none' })
      ]
    }
  }
]

describe.each(KINDS)('on $name', ({ runs, open }) => {
  it('nothing protected is lost, and nothing else is left', { timeout: 300_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(plans(), async plan => {
        const folder = await mkdtemp(join(tmpdir(), 'gc-model-'))
        const stores = await open(folder)
        try {
          const model = new Model()
          const real: Real = { stores, leases: [] }
          for (const each of [...plan, collectStep(0)]) await each.run(model, real)
          // When all have let go, nothing is left.
          for (const lease of real.leases) await lease.release()
          for (const name of model.tags.keys()) await stores[0]!.tags.delete(name)
          model.leases = []
          model.tags.clear()
          await collectStep(0).run(model, real)
          expect(model.held.size).toBe(0)
          expect(await Array.fromAsync(stores[0]!.list())).toEqual([])
        } finally {
          for (const store of stores) await store.close()
          await rm(folder, { recursive: true })
        }
      }),
      { numRuns: runs }
    )
  })
})
