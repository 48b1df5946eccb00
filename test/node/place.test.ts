import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { pathOf, placeOf } from '../../src/node/place.ts'

describe('an output path', () => {
  it.each([
    ['copy', './copy'],
    ['a/copy', 'a/copy'],
    ['./copy', './copy'],
    ['.hidden', './.hidden'],
    ['a.b.', './a.b.'],
    ['/tmp/copy', '/tmp/copy']
  ])('%j is a name', (output, path) => {
    expect(pathOf(placeOf(output), 'own')).toBe(resolve(path))
  })

  it.each([
    [undefined, '.'],
    ['.', '.'],
    ['./', '.'],
    ['..', '..'],
    ['a/', 'a'],
    ['a/..', '.'],
    ['/tmp/', '/tmp']
  ])('%j is a folder, in which the own name is used', (output, folder) => {
    expect(pathOf(placeOf(output), 'own')).toBe(resolve(folder, 'own'))
  })
})
