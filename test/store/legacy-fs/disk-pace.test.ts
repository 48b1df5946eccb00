/** When the main thread waits for the disk itself. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { DiskPace } from '../../../src/store/legacy-fs/small/disk-pace.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** A disk that takes as long as it is told. */
function disk() {
  const pace = new DiskPace()
  return { pace, use: (ms: number) => pace.time(() => vi.advanceTimersByTime(ms)) }
}

it('a disk that is slow once is quick all the same', () => {
  const { pace, use } = disk()
  for (const ms of [0.2, 50, 0.2, 50, 0.2]) {
    use(ms)
    expect(pace.isQuick).toBe(true)
  }
})

it('one that is slow again and again is left to others, and tried now and then, for a hundredth of the time', () => {
  const { pace, use } = disk()
  use(10)
  use(10)
  expect(pace.isQuick).toBe(false)
  vi.advanceTimersByTime(999)
  expect(pace.isQuick).toBe(false)
  vi.advanceTimersByTime(1)
  expect(pace.isQuick).toBe(true)
  use(50)
  vi.advanceTimersByTime(4999)
  expect(pace.isQuick).toBe(false)
  vi.advanceTimersByTime(1)
  use(0.2)
  expect(pace.isQuick).toBe(true)
})

it('hands on what is thrown', () => {
  const { pace } = disk()
  const fail = () => {
    throw new Error('no space')
  }
  expect(() => pace.time(fail)).toThrow('no space')
})
