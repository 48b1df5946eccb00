/** How connections share the turns of the event loop. */
import { describe, expect, it } from 'vitest'
import { SharedTurns } from '../../src/tcp/shared-turns.ts'

/** Longer than what a turn is for, in ms. */
const LONG_MS = 10

describe('shared turns', () => {
  it('leave the others to the next turns when one has taken long, in their order', async () => {
    const turns = new SharedTurns()
    let turn = 0
    let isOver = false
    const nextTurn = (): void => {
      turn++
      if (!isOver) setImmediate(nextTurn)
    }
    nextTurn()
    const called: { name: number; turn: number }[] = []
    await Promise.all(
      Array.from({ length: 5 }, async (_, name) => {
        await new Promise<void>(resolve => turns.soon(resolve))
        called.push({ name, turn })
        const start = performance.now()
        while (performance.now() - start < LONG_MS);
      })
    )
    isOver = true
    expect(called.map(({ name }) => name)).toEqual([0, 1, 2, 3, 4])
    expect(new Set(called.map(({ turn }) => turn)).size).toBe(5)
  })

  it('let each in, however many come later', async () => {
    const turns = new SharedTurns()
    const most = 30
    let others = 0
    const busy = (): void => {
      const start = performance.now()
      while (performance.now() - start < LONG_MS);
    }
    // So that one is left over in each turn.
    const other = (): void => {
      if (++others < most) setTimeout(() => turns.soon(other), 0)
      busy()
    }
    for (let i = 0; i < 3; i++) turns.soon(other)
    await new Promise<void>(resolve => {
      turns.soon(() => {
        // While it is let in, more has come for it: before it is known that there is one left over.
        turns.soon(resolve)
        busy()
      })
    })
    expect(others).toBeLessThan(most)
  })

  it('begin anew after a pause', async () => {
    const turns = new SharedTurns()
    for (let i = 0; i < 3; i++) {
      let calls = 0
      await new Promise<void>(resolve => {
        turns.soon(() => {
          calls++
          resolve()
        })
      })
      expect(calls).toBe(1)
      await new Promise(resolve => setTimeout(resolve, LONG_MS))
    }
  })
})
