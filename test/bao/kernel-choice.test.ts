import { afterEach, describe, expect, it, vi } from 'vitest'
import { createWasmKernel } from '../../src/bao/kernel/index.ts'
import { patternBytes, subtreeOf } from './kernel-helpers.ts'

/** `kernel` as a process would get it that loads the module now. */
async function loadKernel() {
  vi.resetModules()
  return (await import('../../src/bao/kernel/index.ts')).kernel
}

describe('the process-wide kernel', () => {
  afterEach(() => {
    vi.unstubAllGlobals()
    vi.restoreAllMocks()
  })

  it('is WebAssembly where there is SIMD', async () => {
    expect((await loadKernel()).name).toBe('wasm-simd')
  })

  it('is plain JavaScript where the engine does not take the module', async () => {
    vi.spyOn(WebAssembly, 'validate').mockReturnValue(false)
    expect((await loadKernel()).name).toBe('js')
  })

  it('is plain JavaScript where there is no WebAssembly at all', async () => {
    vi.stubGlobal('WebAssembly', undefined)
    expect((await loadKernel()).name).toBe('js')
  })

  it('is plain JavaScript where the engine compiles nothing of that size at once', async () => {
    class Refusing {
      constructor() {
        throw new RangeError('WebAssembly.Compile is disallowed on the main thread')
      }
    }
    vi.stubGlobal('WebAssembly', Object.create(WebAssembly, { Module: { value: Refusing } }))
    expect((await loadKernel()).name).toBe('js')
  })

  it('shares no memory with another one', () => {
    const [a, b] = [createWasmKernel(), createWasmKernel()]
    const data = patternBytes(100_000)
    const expected = subtreeOf(a, data)
    subtreeOf(b, new Uint8Array(1_000_000).fill(255))
    expect(subtreeOf(a, data)).toEqual(expected)
    expect(subtreeOf(b, data)).toEqual(expected)
  })
})
