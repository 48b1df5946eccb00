import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { IdleTimer } from '../../src/libp2p/idle-timer.ts'

describe('IdleTimer', () => {
  let expired: number
  let timer: IdleTimer

  beforeEach(() => {
    vi.useFakeTimers()
    expired = 0
    timer = new IdleTimer(1000, () => {
      expired++
    })
  })

  afterEach(() => {
    vi.useRealTimers()
  })

  it('does not count the waits together, nor the time between them', () => {
    for (let i = 0; i < 20; i++) {
      timer.begin()
      vi.advanceTimersByTime(400)
      timer.end()
      vi.advanceTimersByTime(70 * i)
    }
    expect(expired).toBe(0)
  })

  it('ends a wait when it has taken so long, however long the one before was', () => {
    timer.begin()
    vi.advanceTimersByTime(900)
    timer.end()
    timer.begin()
    vi.advanceTimersByTime(999)
    expect(expired).toBe(0)
    vi.advanceTimersByTime(1)
    expect(expired).toBe(1)
    vi.advanceTimersByTime(5000)
    expect(expired).toBe(1)
  })

  it('can be begun again after a wait that took too long', () => {
    timer.begin()
    vi.advanceTimersByTime(1000)
    timer.begin()
    vi.advanceTimersByTime(1000)
    expect(expired).toBe(2)
  })

  it('leaves nothing running when it is stopped, or when nobody has waited for so long', () => {
    timer.begin()
    timer.stop()
    expect(vi.getTimerCount()).toBe(0)
    timer.begin()
    timer.end()
    vi.advanceTimersByTime(1000)
    expect(vi.getTimerCount()).toBe(0)
    expect(expired).toBe(0)
  })
})
