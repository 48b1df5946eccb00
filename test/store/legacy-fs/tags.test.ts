/** Very many tags. What tags are, the compliance suite tells. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { hashBytes } from '../../../src/bao/outboard.ts'
import { EMPTY_HASH } from '../../../src/hash.ts'
import { testFolder, testStore } from './support.ts'

const COUNT = 5_000

const checksum = (text: string) => hashBytes(new TextEncoder().encode(text)).hash.toString()

it('thousands of tags are listed in order, in many turns, and until the signal aborts', async () => {
  const folder = await testFolder()
  const store = await testStore(folder)
  const names = Array.from({ length: COUNT }, (_, i) => `a/common/prefix/${(i * 7919) % COUNT}`)
  for (const name of names) {
    const text = JSON.stringify({ version: 1, name, hash: EMPTY_HASH.toString(), format: 'raw' })
    writeFileSync(join(folder, 'tags', `${checksum(name)}.tag`), `${text}\n${checksum(text)}\n`)
  }
  const listed = (await Array.fromAsync(store.tags.list())).map(({ name }) => name)
  expect(listed).toEqual(names.sort())
  const stop = new AbortController()
  const listing = Array.fromAsync(store.tags.list({ signal: stop.signal }))
  setTimeout(() => stop.abort(new Error('enough')), 1)
  await expect(listing).rejects.toThrow('enough')
})
