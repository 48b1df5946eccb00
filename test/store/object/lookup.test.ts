/** Looking at what the storage has of a blob of very many fragments. */
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Hash } from '../../../src/hash.ts'
import { KeyedMutex } from '../../../src/store/mutex.ts'
import type { ObjectContext } from '../../../src/store/object/context.ts'
import { fragmentBytes } from '../../../src/store/object/fragment-bytes.ts'
import { type Fragment, formatFragment } from '../../../src/store/object/fragment-name.ts'
import { partialPrefix } from '../../../src/store/object/layout.ts'
import {
  knownOf,
  Lookup,
  listStored,
  NOTED_AT_ONCE,
  noteFragments
} from '../../../src/store/object/lookup.ts'
import { type BlobRow, IN_MEMORY, Metadata } from '../../../src/store/object/metadata/index.ts'
import { PartMemory } from '../../../src/store/object/part-memory.ts'
import { PART_BYTES, Parts } from '../../../src/store/object/parts.ts'
import { OutboardCache, ReadBudget } from '../../../src/store/object/reading/index.ts'
import { MemoryStorage } from '../../../src/store/object/storage/memory/index.ts'

const HASH = Hash.fromBytes(new Uint8Array(32).fill(7))
const SIZE = 5000 * PART_BYTES
const PARTS = new Parts(SIZE)

let context: ObjectContext

beforeEach(() => {
  const storage = new MemoryStorage()
  context = {
    storage,
    metadata: Metadata.open(IN_MEMORY),
    memory: new PartMemory(),
    cache: new OutboardCache(storage),
    budget: new ReadBudget(),
    mutex: new KeyedMutex(),
    notice: () => undefined,
    changed: () => undefined
  }
})

afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
  context.metadata.close()
})

/** Whole parts of the blob. */
function fragments(first: number, end: number): Fragment[] {
  return Array.from({ length: end - first }, (_, i) => ({ size: SIZE, spans: [PARTS.groupsOf(first + i)] }))
}

function namesOf(some: readonly Fragment[]): string[] {
  return some.map(formatFragment).sort()
}

/** Has the storage list fragments, without having their bytes. */
function pretend(some: readonly Fragment[], onListed = () => {}): void {
  vi.spyOn(context.storage, 'list').mockImplementation(async function* () {
    for (const fragment of some) {
      onListed()
      const key = `${partialPrefix(HASH)}${formatFragment(fragment)}`
      yield { key, size: fragmentBytes(fragment), modifiedAt: 0 }
    }
  })
}

/** Counts the turns that others have until `action` has ended. */
async function turnsDuring(action: () => Promise<unknown>): Promise<number> {
  let isOver = false
  let turns = 0
  const others = (async () => {
    for (; !isOver; turns++) await setImmediate()
  })()
  await action()
  isOver = true
  await others
  return turns
}

describe('listing very many fragments', () => {
  it('lets others have their turn', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    pretend(fragments(0, 1000), () => vi.advanceTimersByTime(1))
    let stored: Awaited<ReturnType<typeof listStored>> | undefined
    const turns = await turnsDuring(async () => {
      stored = await listStored(context, HASH)
    })
    expect(stored?.fragments).toEqual(fragments(0, 1000))
    // One in 5 ms.
    expect(turns).toBeGreaterThan(150)
  })
})

describe('noting very many fragments', () => {
  it('is done some at a time, and others have their turn in between', async () => {
    const keep = vi.spyOn(context.metadata, 'keepFragments')
    const all = fragments(0, 2600)
    const known = knownOf(context, HASH)
    const turns = await turnsDuring(() => noteFragments(context, HASH, known, all))
    expect(context.metadata.fragments(HASH)).toEqual(namesOf(all))
    expect(keep.mock.calls.length).toBe(Math.ceil(2600 / NOTED_AT_ONCE))
    for (const [, { add }] of keep.mock.calls) expect(add.length).toBeLessThanOrEqual(NOTED_AT_ONCE)
    expect(turns).toBeGreaterThanOrEqual(5)
  })

  it('of which all are known writes nothing', async () => {
    const all = fragments(0, 700)
    await noteFragments(context, HASH, knownOf(context, HASH), all)
    const before = context.metadata.find(HASH)
    const transaction = vi.spyOn(context.metadata, 'transaction')
    await noteFragments(context, HASH, knownOf(context, HASH), all)
    expect(transaction).not.toHaveBeenCalled()
    expect(context.metadata.find(HASH)).toEqual(before)
  })

  it('makes the index say what the storage says, whatever it has said before', async () => {
    const some = fc
      .uniqueArray(fc.nat(20))
      .map(parts => parts.map(part => fragments(part * 70, part * 70 + 70)))
    const property = fc.asyncProperty(some, some, async (before, now) => {
      context.metadata.forget(HASH)
      await noteFragments(context, HASH, knownOf(context, HASH), before.flat())
      expect(context.metadata.fragments(HASH)).toEqual(namesOf(before.flat()))
      await noteFragments(context, HASH, knownOf(context, HASH), now.flat())
      expect(context.metadata.fragments(HASH)).toEqual(namesOf(now.flat()))
      expect(context.metadata.find(HASH)?.state).toBe(now.length > 0 ? 'partial' : undefined)
    })
    await fc.assert(property, { numRuns: 30 })
  })

  it('and cut short has noted some of those that are there, and another look finds the rest', async () => {
    await noteFragments(context, HASH, knownOf(context, HASH), fragments(2000, 3500))
    const all = fragments(0, 2600)
    const keep = vi.spyOn(context.metadata, 'keepFragments')
    const isStale = () => keep.mock.calls.length === 2
    await noteFragments(context, HASH, knownOf(context, HASH), all, isStale)
    // Of those that are gone, 900, so many have been taken out.
    expect(context.metadata.fragments(HASH)).toEqual(
      namesOf([...fragments(0, 2 * NOTED_AT_ONCE), ...fragments(2000, 2600)])
    )
    pretend(all)
    keep.mockRestore()
    await new Lookup(context).relook(HASH)
    expect(context.metadata.fragments(HASH)).toEqual(namesOf(all))
  })

  it.each([
    ['completed', () => context.metadata.markComplete(HASH, { size: SIZE, hasOutboard: true })],
    ['deleted', () => context.metadata.remove(HASH, 'owner')],
    ['deleted, and its objects too', () => context.metadata.forget(HASH)],
    [
      'begun with another size',
      () => context.metadata.keepFragment(HASH, { size: 5, add: '5.0-1', drop: [] })
    ]
  ])('ends when the blob is %s meanwhile', async (_what, change) => {
    let asked = 0
    let row: BlobRow | undefined
    let isPending = false
    const isStale = () => {
      if (++asked === 2) {
        expect(context.metadata.fragments(HASH).length).toBe(NOTED_AT_ONCE)
        change()
        row = context.metadata.find(HASH)
        isPending = context.metadata.isDeletionPending(HASH)
      }
      return false
    }
    await noteFragments(context, HASH, knownOf(context, HASH), fragments(0, 2600), isStale)
    expect(asked).toBe(2)
    expect(context.metadata.find(HASH)).toEqual(row)
    expect(context.metadata.isDeletionPending(HASH)).toBe(isPending)
  })
})
