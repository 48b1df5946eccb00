import { describe, expect, it } from 'vitest'
import { mostJournalBytes } from '../../../src/store/legacy-fs/small/journal-limit.ts'

const MIB = 1024 * 1024
const GIB = 1024 * MIB

describe('what may lie in journals', () => {
  it('is a GiB where the disk has room, and less where it has little', () => {
    expect(mostJournalBytes(1000 * GIB)).toBe(GIB)
    expect(mostJournalBytes(16 * GIB)).toBe(GIB)
    expect(mostJournalBytes(8 * GIB)).toBe(512 * MIB)
    expect(mostJournalBytes(4 * GIB)).toBe(256 * MIB)
    expect(mostJournalBytes(0)).toBe(256 * MIB)
  })
})
