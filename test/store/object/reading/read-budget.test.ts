import { describe, expect, it } from 'vitest'
import { BLOCK_BYTES, IDLE_MS } from '../../../../src/store/object/reading/constants.ts'
import {
  type BudgetHolder,
  ReadBudget,
  type ReadBuffer
} from '../../../../src/store/object/reading/read-budget.ts'
import { placeBytes } from './support.ts'

const NOBODY: BudgetHolder = { giveBack: () => undefined }

describe('ReadBudget', () => {
  it('gives fewer and fewer the less is left, then nothing, and never more than there is', () => {
    const budget = new ReadBudget(32 * BLOCK_BYTES)
    const lengths: number[] = []
    for (;;) {
      const buffer = budget.take(8 * BLOCK_BYTES, NOBODY)
      if (buffer === undefined) break
      lengths.push(buffer.length / BLOCK_BYTES)
      expect(budget.usedBytes).toBeLessThanOrEqual(budget.totalBytes)
    }
    expect(lengths.slice(0, 3)).toEqual([8, 6, 4])
    expect(lengths.at(-1)).toBe(1)
    expect(lengths.reduce((sum, length) => sum + length)).toBe(32)
    expect(budget.take(1, NOBODY)).toBeUndefined()
  })

  it('gets back block after block as they are passed, and uses them again', () => {
    const budget = new ReadBudget(4 * BLOCK_BYTES)
    const buffer = new ReadBudget(64 * BLOCK_BYTES).take(2.5 * BLOCK_BYTES, NOBODY)!
    expect(buffer.length).toBe(2.5 * BLOCK_BYTES)
    const first = budget.take(BLOCK_BYTES, NOBODY)!
    first.write(0, Uint8Array.of(7))
    first.freeBelow(BLOCK_BYTES - 1)
    expect(budget.usedBytes).toBe(BLOCK_BYTES)
    first.freeBelow(BLOCK_BYTES)
    first.freeBelow(BLOCK_BYTES)
    expect(budget.usedBytes).toBe(0)
    const byte = new Uint8Array(1)
    budget.take(BLOCK_BYTES, NOBODY)!.copy(0, byte)
    expect(byte[0]).toBe(7)
  })

  it('counts a small buffer with what it has, a large one in blocks', () => {
    const budget = new ReadBudget(16 * BLOCK_BYTES)
    budget.take(1000, NOBODY)
    expect(budget.usedBytes).toBe(1000)
    budget.take(1.5 * BLOCK_BYTES, NOBODY)
    expect(budget.usedBytes).toBe(1000 + 2 * BLOCK_BYTES)
  })

  it('asks only those to give back who were idle for long, and only when little is left', () => {
    let now = 0
    const budget = new ReadBudget(8 * BLOCK_BYTES, () => now)
    const asked: string[] = []
    const holder = (name: string) => {
      const buffers: ReadBuffer[] = []
      const self = {
        take: () => buffers.push(budget.take(2 * BLOCK_BYTES, self)!),
        giveBack: () => {
          asked.push(name)
          for (const buffer of buffers.splice(0)) buffer.freeBelow(buffer.length)
        }
      }
      budget.touch(self)
      return self
    }
    const idle = holder('idle')
    const active = holder('active')
    idle.take()
    active.take()
    for (let i = 0; i < 4; i++) active.take()
    expect(asked).toEqual([])
    now = IDLE_MS
    budget.touch(active)
    active.take()
    expect(asked).toEqual(['idle'])
  })
})

describe('ReadBuffer', () => {
  it('holds bytes across its blocks, and refuses to give what was freed', () => {
    const buffer = new ReadBudget(64 * BLOCK_BYTES).take(3 * BLOCK_BYTES, NOBODY)!
    const bytes = placeBytes(0, 3 * BLOCK_BYTES)
    for (let at = 0; at < bytes.length; at += 300_000) buffer.write(at, bytes.subarray(at, at + 300_000))
    const across = new Uint8Array(2 * BLOCK_BYTES)
    buffer.copy(BLOCK_BYTES / 2, across)
    expect(Buffer.compare(across, bytes.subarray(BLOCK_BYTES / 2, 2.5 * BLOCK_BYTES))).toBe(0)
    buffer.freeBelow(BLOCK_BYTES)
    buffer.write(BLOCK_BYTES - 1, Uint8Array.of(1, 2))
    expect(() => buffer.copy(BLOCK_BYTES - 1, across)).toThrow('freed')
    buffer.copy(BLOCK_BYTES, across.subarray(0, 1))
    expect(across[0]).toBe(2)
  })
})
