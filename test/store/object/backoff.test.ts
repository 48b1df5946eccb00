import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Backoff } from '../../../src/store/object/backoff.ts'
import { hashOf } from './metadata/hashes.ts'

const hash = hashOf(1)

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] })
})

afterEach(() => {
  vi.useRealTimers()
})

describe('Backoff', () => {
  it('waits longer after each failure, up to five minutes, and not after a success', () => {
    const backoff = new Backoff()
    expect(backoff.mustWait(hash)).toBe(false)
    for (const seconds of [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]) {
      backoff.failed(hash)
      vi.advanceTimersByTime(seconds * 1000 - 1)
      expect(backoff.mustWait(hash)).toBe(true)
      vi.advanceTimersByTime(1)
      expect(backoff.mustWait(hash)).toBe(false)
    }
    backoff.failed(hash)
    backoff.succeeded(hash)
    expect(backoff.mustWait(hash)).toBe(false)
    backoff.failed(hash)
    vi.advanceTimersByTime(1000)
    expect(backoff.mustWait(hash)).toBe(false)
  })

  it('remembers only so many', () => {
    const backoff = new Backoff()
    for (let i = 0; i <= 1000; i++) backoff.failed(hashOf(i))
    expect(backoff.mustWait(hashOf(0))).toBe(false)
    expect(backoff.mustWait(hashOf(1))).toBe(true)
  })
})
