/** When the main thread waits for the disk itself. */
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { DiskPace } from '../../../src/store/legacy-fs/small/disk-pace.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** A disk that takes as long as it is told; each call in a turn of the event loop of its own. */
function disk() {
  const pace = new DiskPace()
  const inTurn = (ms: number) => pace.time(() => vi.advanceTimersByTime(ms))
  const use = async (ms: number) => {
    inTurn(ms)
    await setImmediate()
  }
  return { pace, inTurn, use }
}

it('a disk that is slow now and then is quick all the same', async () => {
  const { pace, use } = disk()
  for (let i = 0; i < 5; i++) {
    await use(50)
    expect(pace.isQuick).toBe(true)
    for (let quick = 0; quick < 64; quick++) await use(0.2)
  }
})

it('one that is slow for some of the files only is slow', async () => {
  const { pace, use } = disk()
  let calls = 0
  for (; pace.isQuick; calls++) await use(calls % 10 === 0 ? 10 : 0.2)
  expect(calls).toBeLessThan(40)
})

it('calls that are quick end with the turn of the event loop when they have added up', async () => {
  const { pace, inTurn } = disk()
  let calls = 0
  for (; pace.isQuick; calls++) inTurn(1)
  expect(calls).toBe(3)
  await setImmediate()
  expect(pace.isQuick).toBe(true)
})

it('one that is slow again and again is left to others, and tried now and then, for a hundredth of the time', async () => {
  const { pace, use } = disk()
  await use(10)
  await use(10)
  expect(pace.isQuick).toBe(false)
  vi.advanceTimersByTime(999)
  expect(pace.isQuick).toBe(false)
  vi.advanceTimersByTime(1)
  expect(pace.isQuick).toBe(true)
  await use(50)
  vi.advanceTimersByTime(4999)
  expect(pace.isQuick).toBe(false)
  vi.advanceTimersByTime(1)
  await use(0.2)
  expect(pace.isQuick).toBe(true)
})

it('hands on what is thrown', () => {
  const { pace } = disk()
  const fail = () => {
    throw new Error('no space')
  }
  expect(() => pace.time(fail)).toThrow('no space')
})
