/** How those who hash and write share the turns of the event loop. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { MOST_IN_A_TURN, Turns } from '../../src/libp2p/turns.ts'

describe('turns', () => {
  test('who comes alone need not wait', async () => {
    const turns = new Turns()
    for (let i = 0; i < 3; i++) {
      expect(turns.enter()).toBeUndefined()
      await nextTurn()
    }
  })

  test('of many who come at the same time a few are let in in each turn, in their order', async () => {
    const turns = new Turns()
    const happened: (number | 'other')[] = []
    const many = 4 * MOST_IN_A_TURN
    const all = Promise.all(
      Array.from({ length: many }, async (_, i) => {
        await turns.enter()
        happened.push(i)
      })
    )
    for (let i = 0; i < many; i++) {
      await nextTurn()
      happened.push('other')
    }
    await all
    expect(happened.filter(what => what !== 'other')).toEqual(Array.from({ length: many }, (_, i) => i))
    const together = happened
      .join(' ')
      .split('other')
      .map(numbers => numbers.split(' ').filter(number => number !== '').length)
    // Twice as many where those of one turn come just before others, and those of the next just behind them.
    expect(Math.max(...together)).toBeLessThanOrEqual(2 * MOST_IN_A_TURN)
  })
})
