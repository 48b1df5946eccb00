import { posix, win32 } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkName, checkNames, checkNamesInTurns, UnsafeNameError } from '../../src/protocol/safe-name.ts'

describe('one name', () => {
  test.each<[string, string[]]>([
    ['a.txt', ['a.txt']],
    ['dir/b.bin', ['dir', 'b.bin']],
    ['ünïcode/文件.dat', ['ünïcode', '文件.dat']],
    ['.hidden/..file', ['.hidden', '..file']],
    ['a b/ c', ['a b', ' c']],
    ['what?*<>|".txt', ['what?*<>|".txt']],
    ['console/com/com10/nulls.txt/aux-in', ['console', 'com', 'com10', 'nulls.txt', 'aux-in']],
    ['~/-rf', ['~', '-rf']],
    ['n'.repeat(255), ['n'.repeat(255)]],
    ['👍'.repeat(63), ['👍'.repeat(63)]]
  ])('%s is a file', (name, segments) => {
    expect(checkName(name)).toEqual(segments)
  })

  test.each([
    ['', 'it is empty'],
    ['.', 'it has the part "."'],
    ['..', 'it has the part ".."'],
    ['a/../../b', 'it has the part ".."'],
    ['a/./b', 'it has the part "."'],
    ['../a', 'it has the part ".."'],
    ['/etc/passwd', 'it is an absolute path'],
    ['//host/share', 'it is an absolute path'],
    ['a//b', 'it has an empty part'],
    ['a/', 'it has an empty part'],
    ['a\\..\\b', 'backslash'],
    ['\\\\host\\share', 'backslash'],
    ['C:/windows', 'it names a drive'],
    ['c:evil', 'it names a drive'],
    ['a.txt:stream', 'colon'],
    ['dir/x:y', 'colon'],
    ['a\0b', 'control character'],
    ['a\nb', 'control character'],
    ['a\x1b[2Jb', 'control character'],
    ['a\x7f', 'control character'],
    ['a\x85', 'control character'],
    ['a\ud800', 'surrogate'],
    ['con', 'device'],
    ['CON', 'device'],
    ['nul.txt', 'device'],
    ['Aux.tar.gz', 'device'],
    ['dir/COM1', 'device'],
    ['lpt9.x/file', 'device'],
    ['com¹', 'device'],
    ['CON .txt', 'device'],
    ['CONOUT$', 'device'],
    ['a.', 'ends with a dot'],
    ['a /b', 'ends with a dot or a space'],
    ['...', 'ends with a dot'],
    ['.. ', 'ends with a dot or a space'],
    ['n'.repeat(256), 'more than 255 bytes'],
    ['👍'.repeat(64), 'more than 255 bytes']
  ])('%j is refused', (name, reason) => {
    expect(() => checkName(name)).toThrow(UnsafeNameError)
    expect(() => checkName(name)).toThrow(reason)
  })

  test('a path longer than systems allow is refused', () => {
    expect(() => checkName(`${'a/'.repeat(2048)}b`)).toThrow('more than 4096 bytes')
    expect(checkName(`${'a/'.repeat(2047)}bc`)).toHaveLength(2048)
  })

  test('the error tells the name and the reason apart', () => {
    try {
      checkName('dir/..')
      expect.fail('accepted')
    } catch (error) {
      expect(error).toMatchObject({
        code: 'ERR_UNSAFE_NAME',
        unsafeName: 'dir/..',
        reason: 'it has the part ".."'
      })
    }
  })

  test('whatever is accepted stays below the directory it is used in, on every system', () => {
    const parts = fc.constantFrom('..', '.', '/', '\\', 'C:', 'a', ' ', '\0', 'con', '...', 'b.c', '//', '~')
    const name = fc.oneof(
      fc.array(parts, { maxLength: 8 }).map(list => list.join('')),
      fc.string({ unit: 'binary', maxLength: 20 })
    )
    let accepted = 0
    fc.assert(
      fc.property(name, candidate => {
        let segments: string[]
        try {
          segments = checkName(candidate)
        } catch (error) {
          expect(error).toBeInstanceOf(UnsafeNameError)
          return
        }
        accepted++
        expect(segments.join('/')).toBe(candidate)
        expect(posix.resolve('/base', candidate)).toBe(`/base/${candidate}`)
        expect(win32.resolve('D:\\base', candidate)).toBe(`D:\\base\\${segments.join('\\')}`)
      }),
      { numRuns: 3000 }
    )
    expect(accepted).toBeGreaterThan(100)
  })
})

describe('names side by side', () => {
  test('what does not meet is accepted, in the order given', () => {
    const names = ['b', 'a/b', 'a/c', 'a/b.d', 'ab', 'a-b', 'a b/c', 'c/b', 'straße', 'strase']
    expect(checkNames(names)).toEqual(names.map(name => name.split('/')))
    expect(checkNames([])).toEqual([])
  })

  test('millions of names are checked in turns', async () => {
    const names = Array.from({ length: 10_000 }, (_, i) => `folder ${i % 10}/ä ${i}`)
    let breaths = 0
    await checkNamesInTurns(names, async () => void breaths++)
    expect(breaths).toBeGreaterThan(400)
    const stop = new Error('stop')
    await expect(checkNamesInTurns(names, () => Promise.reject(stop))).rejects.toBe(stop)
  })

  test.each<[string, string[], string]>([
    ['the same name', ['a', 'b', 'a'], '"a" cannot be used for a file: it occurs twice'],
    ['case', ['README', 'x', 'readme'], 'some systems do not tell it from'],
    ['case in a directory', ['Dir/a', 'dir/A'], 'some systems do not tell it from'],
    ['composed and not', ['\u00e9', 'e\u0301'], 'some systems do not tell it from'],
    ['case of a composed letter', ['\u00c9', 'e\u0301'], 'some systems do not tell it from'],
    ['special letters', ['STRASSE', 'straße'], 'some systems do not tell it from'],
    ['sigma at the end', ['ας', 'ΑΣ'], 'some systems do not tell it from'],
    ['kelvin', ['\u212a', 'k'], 'some systems do not tell it from'],
    ['file and directory', ['a', 'a/b'], '"a" cannot be used for a file: it is a file here'],
    ['directory and file', ['x/y/z', 'x/y'], 'a directory in "x/y/z"'],
    ['file and directory, far apart', ['a', 'a!', 'a.b', 'a-', 'b', 'a/z'], 'it is a file here'],
    ['file and directory of other case', ['Dir', 'dir/b'], 'it is a file here'],
    ['one unsafe name', ['ok', '../up'], 'it has the part ".."']
  ])('refused: %s', async (_, names, message) => {
    await expect(checkNamesInTurns(names, async () => undefined)).rejects.toThrow(message)
    expect(() => checkNames(names)).toThrow(UnsafeNameError)
    expect(() => checkNames(names)).toThrow(message)
    expect(() => checkNames(names.toReversed())).toThrow(UnsafeNameError)
  })

  test('two directories that differ by case only may be merged', () => {
    expect(checkNames(['Dir/a', 'dir/b'])).toHaveLength(2)
  })

  test('conflicts are found as comparing each with each finds them', () => {
    const segment = fc.constantFrom('a', 'A', 'b', 'a!', 'a.b')
    const name = fc.array(segment, { minLength: 1, maxLength: 3 }).map(list => list.join('/'))
    fc.assert(
      fc.property(fc.array(name, { maxLength: 6 }), names => {
        const lower = names.map(text => text.toLowerCase())
        const meet = lower.some((a, i) =>
          lower.some((b, j) => (i !== j && a === b) || (i !== j && b.startsWith(`${a}/`)))
        )
        if (meet) expect(() => checkNames(names)).toThrow(UnsafeNameError)
        else expect(checkNames(names)).toHaveLength(names.length)
      }),
      { numRuns: 2000 }
    )
  })
})
