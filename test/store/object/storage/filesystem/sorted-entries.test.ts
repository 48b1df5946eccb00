import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Breather } from '../../../../../src/store/breather.ts'
import { sortedEntries } from '../../../../../src/store/object/storage/filesystem/sorted-entries.ts'
import { testFolder } from './support.ts'

describe('sortedEntries', () => {
  it('has all once and in order, however few are kept at once', async () => {
    const folder = await testFolder()
    const names = fc.uniqueArray(fc.stringMatching(/^[a-c0-1_-][a-c0-1._-]{0,3}$/), {
      minLength: 60,
      maxLength: 60
    })
    const entries = fc
      .sample(names, { seed: 3, numRuns: 1 })[0]!
      .map((name, i) => (i % 2 === 0 ? name : `${name}/`))
    for (const name of entries) {
      if (name.endsWith('/')) await mkdir(join(folder, name))
      else await writeFile(join(folder, name), '')
    }
    await writeFile(join(folder, '.hidden'), '')
    const property = fc.asyncProperty(
      fc.integer({ min: 1, max: 70 }),
      fc.constantFrom('', 'a', 'b', 'b-', 'c', '0'),
      fc.constantFrom('', ...entries, 'b/x/y', 'zz'),
      async (kept, prefix, after) => {
        const breather = new Breather(undefined)
        const found = await Array.fromAsync(sortedEntries(folder, prefix, after, breather, kept))
        const expected = entries
          .filter(name => name.startsWith(prefix))
          .filter(name => name > after || (name.endsWith('/') && after.startsWith(name)))
        expect(found).toEqual(expected.sort())
      }
    )
    await fc.assert(property, { numRuns: 200 })
  })

  it('of a folder that is not there are none', async () => {
    const folder = await testFolder()
    const breather = new Breather(undefined)
    expect(await Array.fromAsync(sortedEntries(join(folder, 'none'), '', '', breather))).toEqual([])
  })
})
