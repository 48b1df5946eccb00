import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { makeFolder } from '../../src/store/make-folder.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'make-folder-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true })
})

describe('makeFolder', () => {
  it('makes all that are missing, and says which is the uppermost', () => {
    const path = join(folder, 'a', 'b', 'c')
    expect(makeFolder(path, 0o700)).toBe(join(folder, 'a'))
    expect(statSync(path).mode & 0o777).toBe(0o700)
    expect(makeFolder(path)).toBe(undefined)
  })

  it('fails where there is a file, or a link that leads nowhere', () => {
    writeFileSync(join(folder, 'file'), '')
    symlinkSync(join(folder, 'nowhere', 'x'), join(folder, 'link'))
    expect(() => makeFolder(join(folder, 'file', 'b'))).toThrow(/ENOTDIR/)
    expect(() => makeFolder(join(folder, 'file'))).toThrow(/EEXIST/)
    expect(() => makeFolder(join(folder, 'link'))).toThrow(/EEXIST/)
  })

  // Only Linux has such a folder.
  it.runIf(process.platform === 'linux')('fails where a folder takes no other', () => {
    expect(() => makeFolder('/proc/x/y')).toThrow(/ENOENT/)
  })
})
