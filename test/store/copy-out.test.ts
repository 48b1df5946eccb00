import { afterEach, describe, expect, it, vi } from 'vitest'

/** As the package `buffer` does, which bundlers put in the place of Node's. */
class BrowsersBuffer extends Uint8Array {
  copy(target: Uint8Array, at: number, from: number, to: number): number {
    if (!(target instanceof BrowsersBuffer)) throw new TypeError('argument should be a Buffer')
    target.set(this.subarray(from, to), at)
    return to - from
  }
}

/** Loads it anew, where `Buffer` is this. */
async function copyOutWith(buffer: unknown): Promise<typeof import('../../src/store/memory/copy-out.ts')> {
  vi.resetModules()
  vi.stubGlobal('Buffer', buffer)
  return await import('../../src/store/memory/copy-out.ts')
}

describe('copyOut', () => {
  afterEach(() => {
    vi.unstubAllGlobals()
    vi.resetModules()
  })

  it.each([
    ["Node's Buffer", globalThis.Buffer],
    ['the Buffer of a bundler', BrowsersBuffer],
    ['no Buffer', undefined]
  ])('copies out of shared and other memory, with %s', async (_, buffer) => {
    const { copyOut } = await copyOutWith(buffer)
    for (const memory of [new ArrayBuffer(8), new SharedArrayBuffer(8)]) {
      const page = new Uint8Array(memory, 1, 6)
      page.set([1, 2, 3, 4, 5, 6])
      const target = new Uint8Array(5)
      copyOut(page, 2, 5, target, 1)
      expect([...target]).toEqual([0, 3, 4, 5, 0])
    }
  })
})
