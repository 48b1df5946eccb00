/** Looking at what the storage has of a blob of very many fragments. */
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Hash } from '../../../src/hash.ts'
import { KeyedMutex } from '../../../src/store/mutex.ts'
import type { ObjectContext } from '../../../src/store/object/context.ts'
import { fragmentBytes } from '../../../src/store/object/fragment-bytes.ts'
import { type Fragment, formatFragment } from '../../../src/store/object/fragment-name.ts'
import { partialPrefix } from '../../../src/store/object/layout.ts'
import { listStored } from '../../../src/store/object/lookup.ts'
import { IN_MEMORY, Metadata } from '../../../src/store/object/metadata/index.ts'
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
