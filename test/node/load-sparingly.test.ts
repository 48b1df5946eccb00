/** V8 is told to keep the heap small while modules are loaded, and then to do as it does by itself. */
import { cachedDataVersionTag } from 'node:v8'
import { describe, expect, it } from 'vitest'
import { loadSparingly } from '../../src/node/load-sparingly.ts'

/** Differs when an option of V8 that it knows has another value. */
const optionsOfV8 = cachedDataVersionTag

describe('loadSparingly', () => {
  it('sets V8 while it loads, returns what was loaded, and leaves V8 as it was', async () => {
    const before = optionsOfV8()
    const during = await loadSparingly(async () => optionsOfV8())
    expect(during).not.toBe(before)
    expect(optionsOfV8()).toBe(before)
  })

  it('leaves V8 as it was also when loading fails', async () => {
    const before = optionsOfV8()
    const failure = new Error('no such module')
    await expect(loadSparingly(() => Promise.reject(failure))).rejects.toBe(failure)
    expect(optionsOfV8()).toBe(before)
  })
})
