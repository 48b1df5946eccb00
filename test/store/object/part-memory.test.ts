import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PartMemory } from '../../../src/store/object/part-memory.ts'
import { PART_BYTES } from '../../../src/store/object/parts.ts'

const nobody = () => undefined

/** What has come of a promise after all that could go on has gone on. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let isSettled = false
  const settle = () => {
    isSettled = true
  }
  promise.then(settle, settle)
  await setImmediate()
  return !isSettled
}

describe('PartMemory', () => {
  it('asks the one who has used his least recently, once, and only for what is needed', async () => {
    const memory = new PartMemory(30)
    const asked: string[] = []
    const buffers = new Map<string, Uint8Array>()
    for (const name of ['a', 'b', 'c']) buffers.set(name, await memory.take(10, () => asked.push(name)))
    memory.touch(buffers.get('a')!)
    expect(asked).toEqual([])
    const fourth = memory.take(10, nobody)
    expect(asked).toEqual(['b'])
    const fifth = memory.take(10, nobody)
    expect(asked).toEqual(['b', 'c'])
    expect(await isPending(fourth)).toBe(true)
    memory.give(buffers.get('b')!)
    expect((await fourth).length).toBe(10)
    expect(await isPending(fifth)).toBe(true)
    expect(asked).toEqual(['b', 'c'])
    memory.give(buffers.get('c')!)
    await fifth
    expect(asked).toEqual(['b', 'c'])
    expect(memory.usedBytes).toBe(30)
  })

  it('asks who has got his only after others began to wait', async () => {
    const memory = new PartMemory(10)
    const asked: string[] = []
    const first = await memory.take(10, () => asked.push('first'))
    const second = memory.take(10, () => asked.push('second'))
    const third = memory.take(10, () => asked.push('third'))
    memory.give(first)
    const buffer = await second
    expect(asked).toEqual(['first', 'second'])
    expect(await isPending(third)).toBe(true)
    memory.give(buffer)
    await third
    expect(asked).toEqual(['first', 'second'])
  })

  it('serves in turn: who needs much is not passed by those who need little', async () => {
    const memory = new PartMemory(20)
    const buffers = [await memory.take(10, nobody), await memory.take(10, nobody)]
    const large = memory.take(20, nobody)
    const small = memory.take(5, nobody)
    memory.give(buffers[0]!)
    expect(await isPending(small)).toBe(true)
    memory.give(buffers[1]!)
    memory.give(await large)
    await small
    expect(memory.usedBytes).toBe(5)
  })

  it('gives more than there is to one at a time', async () => {
    const memory = new PartMemory(10)
    const large = await memory.take(25, nobody)
    const next = memory.take(1, nobody)
    expect(await isPending(next)).toBe(true)
    memory.give(large)
    await next
  })

  it('lets those behind go on when the one in front gives up', async () => {
    const memory = new PartMemory(20)
    const reason = new Error('no longer wanted')
    await memory.take(10, nobody)
    const stop = new AbortController()
    const large = memory.take(20, nobody, stop.signal)
    const small = memory.take(10, nobody)
    expect(await isPending(small)).toBe(true)
    stop.abort(reason)
    await expect(large).rejects.toBe(reason)
    expect((await small).length).toBe(10)
    await expect(memory.take(1, nobody, stop.signal)).rejects.toBe(reason)
    expect(memory.usedBytes).toBe(20)
  })

  it('loses nothing when it is given up in the moment in which it is granted', async () => {
    const memory = new PartMemory(10)
    const first = await memory.take(10, nobody)
    const stop = new AbortController()
    const second = memory.take(10, nobody, stop.signal)
    memory.give(first)
    stop.abort(new Error('too late'))
    memory.give(await second)
    expect(memory.usedBytes).toBe(0)
    let isAsked = false
    await memory.take(10, () => {
      isAsked = true
    })
    void memory.take(10, nobody)
    expect(isAsked).toBe(true)
  })

  it('counts what is given back twice once', async () => {
    const memory = new PartMemory(20)
    const first = await memory.take(10, nobody)
    await memory.take(10, nobody)
    memory.give(first)
    memory.give(first)
    expect(memory.usedBytes).toBe(10)
  })

  it('uses the memory of a part again', async () => {
    const memory = new PartMemory()
    const first = await memory.take(PART_BYTES, nobody)
    memory.give(first)
    expect((await memory.take(PART_BYTES, nobody)) === first).toBe(true)
    expect((await memory.take(PART_BYTES, nobody)) === first).toBe(false)
  })

  it('serves everybody, and never exceeds its bound, whoever comes, goes and dawdles', async () => {
    const visitor = fc.record({
      bytes: fc.integer({ min: 1, max: 40 }),
      comesAt: fc.nat(10),
      stays: fc.nat(6),
      leavesAlone: fc.boolean(),
      givesUpAt: fc.option(fc.nat(15))
    })
    const property = fc.asyncProperty(fc.array(visitor, { maxLength: 30 }), async visitors => {
      const most = 60
      const memory = new PartMemory(most)
      let served = 0
      let waiting = 0
      const pauses = async (times: number) => {
        for (let i = 0; i < times; i++) await setImmediate()
      }
      await Promise.all(
        visitors.map(async ({ bytes, comesAt, stays, leavesAlone, givesUpAt }) => {
          const stop = new AbortController()
          if (givesUpAt !== null) void pauses(givesUpAt).then(() => stop.abort(new Error('given up')))
          await pauses(comesAt)
          const relieved = Promise.withResolvers<void>()
          waiting++
          const buffer = await memory
            .take(bytes, () => relieved.resolve(), givesUpAt === null ? undefined : stop.signal)
            .catch(() => undefined)
          waiting--
          if (buffer === undefined) {
            expect(givesUpAt).not.toBe(null)
            return
          }
          expect(memory.usedBytes).toBeLessThanOrEqual(most)
          if (leavesAlone) await pauses(stays)
          else {
            // Only goes when it is asked to, or at the end, when nobody waits.
            await Promise.race([relieved.promise, pauses(100)])
            if (waiting > 0) await relieved.promise
          }
          memory.give(buffer)
          served++
        })
      )
      expect(memory.usedBytes).toBe(0)
      expect(served).toBeGreaterThanOrEqual(visitors.filter(({ givesUpAt }) => givesUpAt === null).length)
    })
    await fc.assert(property, { numRuns: 50 })
  })
})
