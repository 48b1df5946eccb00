/** How those who write share the turns of the event loop. */
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { Turns } from '../../src/libp2p/turns.ts'

function busyFor(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

describe('turns', () => {
  test('who comes while there is time writes at once', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const turns = new Turns()
    let written = 0
    const writes = [1, 2, 3].map(() => turns.write(() => written++))
    expect(written).toBe(3)
    await Promise.all(writes)
  })

  test('when many take long, all write in the order they came in, and others have their turn in between', async () => {
    const turns = new Turns()
    const happened: (number | 'other')[] = []
    let othersTurns: NodeJS.Immediate | undefined
    const other = (): void => {
      happened.push('other')
      othersTurns = setImmediate(other)
    }
    othersTurns = setImmediate(other)
    await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        turns.write(() => {
          busyFor(3)
          happened.push(i)
        })
      )
    )
    clearImmediate(othersTurns)
    expect(happened.filter(what => what !== 'other')).toEqual(Array.from({ length: 12 }, (_, i) => i))
    const together = happened
      .join(' ')
      .split('other')
      .map(numbers => numbers.split(' ').filter(number => number !== '').length)
    expect(Math.max(...together)).toBeLessThan(6)
  })

  test('who fails hears of it, and the next one writes all the same', async () => {
    const turns = new Turns()
    const first = turns.write(() => busyFor(10))
    const failing = turns.write(() => {
      throw new RangeError('not this one')
    })
    let written = false
    const last = turns.write(() => {
      written = true
    })
    await expect(failing).rejects.toThrow('not this one')
    await Promise.all([first, last])
    expect(written).toBe(true)
    await expect(
      turns.write(() => {
        throw new RangeError('nor this one')
      })
    ).rejects.toThrow('nor this one')
  })
})
