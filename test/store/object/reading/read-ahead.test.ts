import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { GAP_BYTES, IDLE_MS, MOST_PIECE_BYTES } from '../../../../src/store/object/reading/constants.ts'
import { ReadAhead } from '../../../../src/store/object/reading/read-ahead.ts'
import { ReadBudget } from '../../../../src/store/object/reading/read-budget.ts'
import { Spans } from '../../../../src/store/object/reading/spans.ts'
import { StorageUnavailableError } from '../../../../src/store/object/storage/errors.ts'
import { ObservedStorage, placeBytes, settle } from './support.ts'

const KIB = 1024
const MIB = 1024 * 1024
const KEY = 'blobs/x/data'
const CLOSED = new Error('closed')

interface Trial {
  readonly storage: ObservedStorage
  readonly budget: ReadBudget
  readonly reader: ReadAhead
  readonly read: (offset: number, length: number, signal?: AbortSignal) => Promise<void>
}

const open: Trial[] = []

/** A reader of bytes that tell their place; `read` checks what it gets. */
function trial(size: number, plan?: readonly number[], budget = new ReadBudget()): Trial {
  const storage = new ObservedStorage()
  storage.makeUp(KEY, placeBytes)
  const reader = new ReadAhead({ storage, key: KEY, size, budget, plan: plan && Spans.of(plan, GAP_BYTES) })
  const read = async (offset: number, length: number, signal?: AbortSignal) => {
    const target = new Uint8Array(length)
    await reader.read(offset, target, signal)
    if (Buffer.compare(target, placeBytes(offset, length)) !== 0) throw new Error(`wrong bytes at ${offset}`)
  }
  const made = { storage, budget, reader, read }
  open.push(made)
  return made
}

afterEach(async () => {
  for (const { reader, budget, storage } of open.splice(0)) {
    await reader.close(CLOSED)
    expect(budget.usedBytes).toBe(0)
    expect(storage.inFlight).toBe(0)
  }
})

/** Reads it all in order, `step` bytes at a time. */
async function readThrough({ read }: Trial, size: number, step = MIB): Promise<void> {
  for (let at = 0; at < size; at += step) await read(at, Math.min(step, size - at))
}

describe('with a plan', () => {
  it('reads 256 MiB in about 256 / 8 GETs, each byte once, two at a time', async () => {
    const size = 256 * MIB
    const storage = new ObservedStorage()
    const page = new Uint8Array(64 * KIB)
    storage.makeUp(KEY, (_, length) => page.subarray(0, length))
    const reader = new ReadAhead({
      storage,
      key: KEY,
      size,
      budget: new ReadBudget(),
      plan: Spans.of([0, size])
    })
    const target = new Uint8Array(MIB)
    for (let at = 0; at < size; at += MIB) await reader.read(at, target)
    expect(storage.gets.length).toBeLessThanOrEqual(256 / 8 + 5)
    expect(storage.bytes).toBe(size)
    // A GET whose last byte has come may not have ended when the next one begins.
    expect(storage.mostInFlight).toBeLessThanOrEqual(3)
    await reader.close(CLOSED)
  })

  it.each([16 * KIB, 100_000, MIB, 3 * MIB + 1, 40 * MIB])(
    'is right whatever the step: %i bytes',
    async step => {
      const size = 40 * MIB + 12_345
      const made = trial(size, [0, size])
      await readThrough(made, size, step)
      expect(made.storage.bytes).toBe(size)
    }
  )

  it('gets a single short range in one GET, and not a byte more', async () => {
    const { read, storage, budget } = trial(8 * 2 ** 30, [5 * 2 ** 30, 5 * 2 ** 30 + 64 * KIB])
    // Straight into the reader's buffer.
    storage.onPiece = () => expect(budget.usedBytes).toBe(0)
    await read(5 * 2 ** 30, 64 * KIB)
    await settle()
    expect(storage.gets).toEqual([{ key: KEY, offset: 5 * 2 ** 30, length: 64 * KIB }])
  })

  it('reads through small gaps and leaves out large ones', async () => {
    const made = trial(100 * MIB, [0, 16 * KIB, 64 * KIB, 80 * KIB, 50 * MIB, 50 * MIB + 16 * KIB])
    for (const at of [0, 64 * KIB, 50 * MIB]) await made.read(at, 16 * KIB)
    await settle()
    expect(made.storage.gets.map(({ offset, length }) => [offset, length])).toEqual([
      [0, 80 * KIB],
      [50 * MIB, 16 * KIB]
    ])
  })

  it('gets scattered groups several at a time, each once', async () => {
    const starts = Array.from({ length: 300 }, (_, i) => i * MIB)
    const made = trial(
      300 * MIB,
      starts.flatMap(at => [at, at + 16 * KIB])
    )
    for (let i = 0; i < starts.length; i += 50) {
      await Promise.all(starts.slice(i, i + 50).map(at => made.read(at, 16 * KIB)))
    }
    expect(made.storage.gets).toHaveLength(300)
    expect(made.storage.bytes).toBe(300 * 16 * KIB)
    expect(made.storage.mostInFlight).toBeGreaterThan(4)
    expect(made.storage.mostInFlight).toBeLessThanOrEqual(16)
  })

  it('serves a read as soon as its bytes are there, while the GET goes on', async () => {
    const made = trial(64 * MIB, [0, 64 * MIB])
    const never = new Promise<void>(() => undefined)
    made.storage.onPiece = (_, offset) => (offset >= 512 * KIB ? never : undefined)
    await made.read(0, 64 * KIB)
    await made.read(64 * KIB, 400 * KIB)
    expect(made.storage.gets[0]!.length).toBe(MIB)
  })

  it('stops to fetch when nobody reads, and goes on when somebody does', async () => {
    const made = trial(200 * MIB, [0, 200 * MIB])
    for (let at = 0; at < 40 * MIB; at += MIB) await made.read(at, MIB)
    await settle()
    const { bytes } = made.storage
    expect(bytes).toBeLessThanOrEqual(40 * MIB + 2 * MOST_PIECE_BYTES)
    await settle()
    expect(made.storage.bytes).toBe(bytes)
    for (let at = 40 * MIB; at < 80 * MIB; at += MIB) await made.read(at, MIB)
    expect(made.storage.bytes).toBeGreaterThanOrEqual(80 * MIB)
  })

  it('goes on behind what was skipped, without fetching it', async () => {
    const made = trial(2 ** 32, [0, 2 ** 32])
    await made.read(0, MIB)
    for (let at = 2 ** 31; at < 2 ** 31 + 30 * MIB; at += MIB) await made.read(at, MIB)
    await settle()
    expect(made.storage.bytes).toBeLessThanOrEqual(4 * MIB + 30 * MIB + 2 * MOST_PIECE_BYTES)
    expect(made.storage.gets.length).toBeLessThan(14)
  })

  it('gets what lies outside the plan or behind by itself, and reads ahead all the same', async () => {
    const made = trial(100 * MIB, [0, 20 * MIB])
    await made.read(90 * MIB, 1000)
    for (let at = 0; at < 10 * MIB; at += MIB) await made.read(at, MIB)
    await made.read(3 * MIB + 5, 1000)
    for (let at = 10 * MIB; at < 20 * MIB; at += MIB) await made.read(at, MIB)
    await made.read(19 * MIB, 30 * MIB)
    expect(made.storage.gets.length).toBeLessThan(14)
  })
})

describe('without a plan', () => {
  it('fetches nothing ahead of scattered reads', async () => {
    const { read, storage } = trial(2 ** 30)
    for (const at of [5, 900 * MIB, 17, 300 * MIB, 12 * KIB]) await read(at, 16 * KIB)
    await settle()
    expect(storage.bytes).toBe(5 * 16 * KIB)
    expect(storage.gets).toHaveLength(5)
  })

  it('reads ahead from the second of two reads that follow each other, until one does not', async () => {
    const made = trial(2 ** 30)
    for (let at = 10 * MIB; at < 60 * MIB; at += 64 * KIB) await made.read(at, 64 * KIB)
    expect(made.storage.gets.length).toBeLessThan(15)
    await settle()
    const { bytes } = made.storage
    await made.read(0, 64 * KIB)
    await made.read(500 * MIB, 64 * KIB)
    await settle()
    expect(made.storage.bytes).toBe(bytes + 128 * KIB)
    expect(made.budget.usedBytes).toBe(0)
    await made.read(500 * MIB + 64 * KIB, 64 * KIB)
    await made.read(500 * MIB + 128 * KIB, 64 * KIB)
    expect(made.storage.gets.at(-1)!.offset).toBeGreaterThan(500 * MIB)
  })
})

describe('whatever is read', () => {
  const size = 24 * MIB + 777
  const offsets = fc.integer({ min: 0, max: size - 1 })
  const steps = fc.oneof(
    fc.record({
      type: fc.constant('seek' as const),
      at: offsets,
      length: fc.integer({ min: 1, max: 3 * MIB })
    }),
    fc.record({
      type: fc.constant('next' as const),
      length: fc.integer({ min: 1, max: 2 * MIB }),
      count: fc.integer({ min: 1, max: 6 }),
      gap: fc.constantFrom(0, 0, 10 * KIB, MIB)
    }),
    fc.record({ type: fc.constant('abort' as const), at: offsets, length: fc.integer({ min: 1, max: MIB }) }),
    fc.record({ type: fc.constant('wait' as const) })
  )

  it('is right: any plan, any reads, any number at once, little memory', { timeout: 300_000 }, async () => {
    const property = fc.asyncProperty(
      fc.option(fc.array(offsets, { maxLength: 6 }), { nil: undefined }),
      fc.constantFrom(0, 3 * MIB, 96 * MIB),
      fc.array(steps, { maxLength: 12 }),
      fc.boolean(),
      fc.integer({ min: 0, max: 5 }),
      async (plan, budgetBytes, script, isConcurrent, slowness) => {
        const boundaries = plan?.sort((a, b) => a - b)
        if (boundaries && boundaries.length % 2 === 1) boundaries.push(size)
        const budget = new ReadBudget(budgetBytes)
        const made = trial(size, boundaries, budget)
        made.storage.onPiece = async get => {
          expect(budget.usedBytes).toBeLessThanOrEqual(budgetBytes)
          for (let i = 0; i < (get * 7) % (slowness + 1); i++) await setImmediate()
        }
        let at = 0
        const running: Promise<void>[] = []
        const begin = (offset: number, length: number, signal?: AbortSignal) => {
          at = Math.min(size, offset + length)
          running.push(made.read(offset, at - offset, signal))
        }
        for (const step of script) {
          if (step.type === 'seek') begin(step.at, step.length)
          if (step.type === 'wait') await setImmediate()
          if (step.type === 'next') {
            for (let i = 0; i < step.count && at + step.gap < size; i++) begin(at + step.gap, step.length)
          }
          if (step.type === 'abort') {
            const controller = new AbortController()
            begin(step.at, step.length, controller.signal)
            const read = running.pop()!
            running.push(read.catch(error => expect(error).toBe(controller.signal.reason)))
            void setImmediate().then(() => controller.abort(new Error('enough')))
          }
          if (!isConcurrent) await Promise.all(running.splice(0))
        }
        await Promise.all(running)
        await made.reader.close(CLOSED)
        expect(budget.usedBytes).toBe(0)
        expect(made.storage.inFlight).toBe(0)
      }
    )
    await fc.assert(property, { numRuns: 40 })
  })
})

describe('memory', () => {
  it('is shared by many readers: never more than the budget, all get on', async () => {
    const budget = new ReadBudget(12 * MIB)
    let most = 0
    const many = Array.from({ length: 10 }, () => trial(20 * MIB, [0, 20 * MIB], budget))
    for (const { storage } of many) {
      storage.onPiece = () => {
        most = Math.max(most, budget.usedBytes)
      }
    }
    await Promise.all(many.map(made => readThrough(made, 20 * MIB)))
    expect(most).toBeGreaterThan(6 * MIB)
    expect(most).toBeLessThanOrEqual(12 * MIB)
    expect(budget.usedBytes).toBe(0)
  })

  it('is given back as it is read, not only when a whole GET is', async () => {
    const made = trial(100 * MIB, [0, 100 * MIB])
    for (let at = 0; at < 20 * MIB; at += MIB) await made.read(at, MIB)
    // Nothing more is fetched from here on: there is a whole piece behind the one that is being read.
    const most = made.budget.usedBytes
    await made.read(20 * MIB, 2 * MIB)
    expect(made.budget.usedBytes).toBe(most - 2 * MIB)
  })

  it('is taken back from readers whose peers have stopped, which go on reading ahead later', async () => {
    let now = 0
    const budget = new ReadBudget(16 * MIB, () => now)
    const idle = trial(100 * MIB, [0, 100 * MIB], budget)
    for (let at = 0; at < 8 * MIB; at += MIB) await idle.read(at, MIB)
    await settle()
    const held = budget.usedBytes
    expect(held).toBeGreaterThanOrEqual(4 * MIB)
    now = IDLE_MS
    const active = trial(100 * MIB, [0, 100 * MIB], budget)
    await active.read(0, MIB)
    for (let at = MIB; at < 40 * MIB; at += MIB) await active.read(at, MIB)
    await active.reader.close(CLOSED)
    expect(budget.usedBytes).toBe(0)
    const gets = idle.storage.gets.length
    now = 2 * IDLE_MS
    for (let at = 8 * MIB; at < 30 * MIB; at += MIB) await idle.read(at, MIB)
    expect(idle.storage.gets.length - gets).toBeLessThan(12)
  })
})

describe('what goes wrong', () => {
  it('fails the reads that need it, once; later ones try again, and read ahead again', async () => {
    const made = trial(60 * MIB, [0, 60 * MIB])
    await made.read(0, MIB)
    let failures = 0
    const error = new StorageUnavailableError('gone fishing')
    made.storage.onPiece = () => {
      failures++
      throw error
    }
    const failed = await Promise.allSettled([made.read(4 * MIB, MIB), made.read(5 * MIB, MIB)])
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(failed.map(result => result.status === 'rejected' && result.reason)).toEqual([error, error])
    await settle()
    const { length } = made.storage.gets
    await settle()
    expect(made.storage.gets).toHaveLength(length)
    await expect(made.read(6 * MIB, MIB)).rejects.toBe(error)
    made.storage.onPiece = undefined
    for (let at = 4 * MIB; at < 60 * MIB; at += MIB) await made.read(at, MIB)
    expect(made.storage.gets.length - length).toBeLessThan(25)
    expect(failures).toBeGreaterThan(2)
  })

  it('which nobody needed yet, is nobody’s failure', async () => {
    const made = trial(60 * MIB, [0, 60 * MIB])
    made.storage.onPiece = get => {
      if (get === 1) throw new StorageUnavailableError('a hiccup')
    }
    for (let at = 0; at < 60 * MIB; at += MIB) await made.read(at, MIB)
  })

  it('in the middle of a GET leaves what came before', async () => {
    const made = trial(60 * MIB, [0, 60 * MIB])
    made.storage.onPiece = (_, offset) => {
      if (offset === 10 * MIB) throw new StorageUnavailableError('cut')
    }
    for (let at = 0; at < 9 * MIB; at += MIB) await made.read(at, MIB)
    const last = await Promise.allSettled([made.read(9 * MIB, MIB), made.read(10 * MIB, MIB)])
    expect(last[1]!.status).toBe('rejected')
    made.storage.onPiece = undefined
    for (let at = 9 * MIB; at < 20 * MIB; at += MIB) await made.read(at, MIB)
  })

  it('may be an object that is shorter than it should be', async () => {
    const made = trial(10 * MIB, [0, 10 * MIB])
    made.storage.makeUp(KEY, (offset, length) => placeBytes(offset, Math.min(length, 1000)))
    await expect(made.read(0, MIB)).rejects.toThrow(`object ${KEY} in memory ended at byte`)
    await expect(made.read(0, 64 * KIB)).rejects.toThrow('ended at byte')
  })

  it('an aborted read does not disturb another one of the same bytes', async () => {
    const made = trial(64 * MIB, [0, 64 * MIB])
    const gate = Promise.withResolvers<void>()
    made.storage.onPiece = () => gate.promise
    const controller = new AbortController()
    const reason = new Error('enough')
    const aborted = made.read(0, 64 * KIB, controller.signal)
    const other = made.read(0, 64 * KIB)
    const direct = made.read(63 * MIB, MIB, controller.signal)
    await settle()
    controller.abort(reason)
    await expect(aborted).rejects.toBe(reason)
    await expect(direct).rejects.toBe(reason)
    gate.resolve()
    await other
    await expect(made.read(0, 1, controller.signal)).rejects.toBe(reason)
  })

  it('closing ends all GETs and fails all reads', async () => {
    const made = trial(64 * MIB, [0, 64 * MIB])
    made.storage.onPiece = () => new Promise(() => undefined)
    const reads = [made.read(0, 64 * KIB), made.read(MIB, 6 * MIB), made.read(40 * MIB, MIB)]
    await settle()
    expect(made.storage.inFlight).toBeGreaterThan(2)
    const closing = made.reader.close(CLOSED)
    for (const read of reads) await expect(read).rejects.toBe(CLOSED)
    await closing
    expect(made.storage.inFlight).toBe(0)
    expect(made.budget.usedBytes).toBe(0)
    await expect(made.read(0, 1)).rejects.toBe(CLOSED)
    await made.reader.close(CLOSED)
    await settle()
    expect(made.storage.inFlight).toBe(0)
  })
})
