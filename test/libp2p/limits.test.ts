import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type BlobsLimits, DEFAULT_LIMITS, InvalidLimitError } from '../../src/libp2p/index.ts'
import { withDefaults } from '../../src/libp2p/limits.ts'

const source = readFileSync(new URL('../../src/libp2p/limits.ts', import.meta.url), 'utf8')

describe('limits', () => {
  it.each(Object.entries(DEFAULT_LIMITS))(
    '%s: the documented default is the real one (%i)',
    (name, value) => {
      const documented = new RegExp(`@default ([\\d_]+)\\s*\\*/\\s*readonly ${name}:`).exec(source)?.[1]
      expect(Number(documented?.replaceAll('_', ''))).toBe(value)
    }
  )

  it('are merged with the defaults, and refused when they are none', () => {
    expect(withDefaults({ maxStreams: 7 })).toEqual({ ...DEFAULT_LIMITS, maxStreams: 7 })
    for (const wrong of [
      { maxStreams: 0 },
      { maxStreams: 1.5 },
      { idleTimeoutMs: Number.NaN },
      { streamTimeoutMs: 2 ** 31 },
      { maxstreams: 1 }
    ]) {
      expect(() => withDefaults(wrong as Partial<BlobsLimits>)).toThrow(InvalidLimitError)
    }
  })
})
