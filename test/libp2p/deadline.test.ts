import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { deadline } from '../../src/libp2p/deadline.ts'

describe('deadline', () => {
  let due: string[]

  beforeEach(() => {
    vi.useFakeTimers()
    due = []
  })

  afterEach(() => {
    vi.runAllTimers()
    vi.useRealTimers()
  })

  it('is told when it is due, each for itself', () => {
    deadline(1000, () => due.push('first'))
    vi.advanceTimersByTime(400)
    deadline(1000, () => due.push('second'))
    deadline(100, () => due.push('short'))
    vi.advanceTimersByTime(100)
    expect(due).toEqual(['short'])
    vi.advanceTimersByTime(499)
    expect(due).toEqual(['short'])
    vi.advanceTimersByTime(1)
    expect(due).toEqual(['short', 'first'])
    vi.advanceTimersByTime(399)
    expect(due).toEqual(['short', 'first'])
    vi.advanceTimersByTime(1)
    expect(due).toEqual(['short', 'first', 'second'])
    vi.advanceTimersByTime(5000)
    expect(due).toHaveLength(3)
  })

  it('is not told when what it waits for has happened, also at the last moment', () => {
    const first = deadline(1000, () => due.push('first'))
    const ends: (() => void)[] = []
    deadline(1000, () => {
      due.push('second')
      for (const end of ends) end()
    })
    ends.push(deadline(1000, () => due.push('third')))
    first()
    vi.advanceTimersByTime(5000)
    expect(due).toEqual(['second'])
  })

  it('has one timer for all of a length, and none when there is nothing to wait for', () => {
    const ends = Array.from({ length: 100 }, () => deadline(1000, () => due.push('never')))
    expect(vi.getTimerCount()).toBe(1)
    for (const end of ends) end()
    vi.advanceTimersByTime(1000)
    expect(vi.getTimerCount()).toBe(0)
    expect(due).toEqual([])
  })

  it('may be begun again by who is told', () => {
    const again = (): void => {
      due.push('again')
      if (due.length < 3) deadline(1000, again)
    }
    deadline(1000, again)
    vi.advanceTimersByTime(2999)
    expect(due).toHaveLength(2)
    vi.advanceTimersByTime(1)
    expect(due).toHaveLength(3)
  })

  it('is told although one before it has failed', () => {
    deadline(1000, () => {
      throw new Error('that one')
    })
    deadline(1000, () => due.push('this one'))
    expect(() => vi.advanceTimersByTime(1000)).toThrow('that one')
    vi.advanceTimersByTime(1)
    expect(due).toEqual(['this one'])
  })

  it.each([
    { clock: 'is behind', before: 0, after: 5000 },
    { clock: 'is ahead', before: 1e9, after: 0 }
  ])('is told also when the timers of a clock that $clock were dropped', ({ before, after }) => {
    vi.advanceTimersByTime(before)
    deadline(1000, () => due.push('dropped'))
    vi.useRealTimers()
    vi.useFakeTimers()
    vi.advanceTimersByTime(after)
    deadline(1000, () => due.push('next'))
    vi.advanceTimersByTime(1000)
    expect(due).toEqual(['dropped', 'next'])
    expect(vi.getTimerCount()).toBe(0)
  })
})
