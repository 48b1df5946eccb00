/** Tags. */
import assert from 'node:assert/strict'
import type { BlobStore, Tag, TagQuery } from '../index.ts'
import { assertRejects } from './checks.ts'
import { sample } from './samples.ts'
import type { Suite } from './suite.ts'

/** Names that file systems, sort orders or encodings might trip over. */
const NAMES: readonly string[] = [
  'a',
  'A', // differs from `a` in case alone
  'b',
  'with space',
  ' leading and trailing ',
  'folder/name',
  'folder/other',
  '../up',
  '..',
  '.',
  '/',
  'back\\slash',
  'a%2Fb',
  'CON',
  'line\nbreak',
  'tab\t',
  'ünïcödé',
  'u\u0308ber', // the same letters as the next, composed differently
  '\u00fcber',
  'Привет',
  '日本語',
  'مرحبا',
  'emoji 🙂', // beyond 16 bits
  '\uffee', // before it in UTF-8, after it in UTF-16
  '😀',
  'x'.repeat(1024),
  '語'.repeat(341)
]

export function tagTests({ describe, test }: Suite): void {
  const { hash } = sample(1)
  const other = sample(2).hash

  describe('tags', () => {
    test('are found by name', async ({ tags }) => {
      assert.equal(await tags.get('none'), undefined)
      await tags.set('one', { hash, format: 'raw' })
      await tags.set('two', { hash: other, format: 'hash_seq' })
      assertTag(await tags.get('one'), { name: 'one', hash, format: 'raw' })
      assertTag(await tags.get('two'), { name: 'two', hash: other, format: 'hash_seq' })
    })

    test('are replaced', async ({ tags }) => {
      await tags.set('name', { hash, format: 'raw' })
      await tags.set('name', { hash: other, format: 'hash_seq' })
      assertTag(await tags.get('name'), { name: 'name', hash: other, format: 'hash_seq' })
      assert.equal((await Array.fromAsync(tags.list())).length, 1)
    })

    test('are deleted', async ({ tags }) => {
      await tags.set('name', { hash, format: 'raw' })
      assert.equal(await tags.delete('name'), true)
      assert.equal(await tags.delete('name'), false)
      assert.equal(await tags.get('name'), undefined)
      assert.deepEqual(await Array.fromAsync(tags.list()), [])
    })

    test('have any name, and come in the order of its UTF-8 bytes', async ({ tags }) => {
      for (const name of NAMES) await tags.set(name, { hash, format: 'raw' })
      for (const name of NAMES) assertTag(await tags.get(name), { name, hash, format: 'raw' })
      const names = (await Array.fromAsync(tags.list())).map(tag => tag.name)
      assert.deepEqual(
        names,
        NAMES.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      )
      for (const name of NAMES) assert.equal(await tags.delete(name), true)
      assert.deepEqual(await Array.fromAsync(tags.list()), [])
    })

    test('are listed by prefix', async ({ tags }) => {
      for (const name of ['a', 'ab', 'a/b', 'abc', 'b', 'A', 'ä'])
        await tags.set(name, { hash, format: 'raw' })
      const named = async (prefix: string) =>
        (await Array.fromAsync(tags.list({ prefix }))).map(tag => tag.name)
      assert.deepEqual(await named('ab'), ['ab', 'abc'])
      assert.deepEqual(await named('a/'), ['a/b'])
      assert.deepEqual(await named('zzz'), [])
      assert.equal((await named('')).length, 7)
    })

    test('are listed from a name on, up to another', async ({ tags }) => {
      for (const name of ['a', 'ab', 'abc', 'b', 'c', '\uffee', '😀'])
        await tags.set(name, { hash, format: 'raw' })
      const named = async (query: TagQuery) => (await Array.fromAsync(tags.list(query))).map(tag => tag.name)
      assert.deepEqual(await named({ from: 'ab', to: 'c' }), ['ab', 'abc', 'b'])
      assert.deepEqual(await named({ from: 'c' }), ['c', '\uffee', '😀'])
      assert.deepEqual(await named({ to: 'ab' }), ['a'])
      assert.deepEqual(await named({ prefix: 'a', from: 'ab', to: 'b' }), ['ab', 'abc'])
      assert.deepEqual(await named({ prefix: 'b', to: 'a' }), [])
      assert.deepEqual(await named({ from: 'b', to: 'b' }), [])
      assert.deepEqual(await named({ from: '\uffee', to: '😀' }), ['\uffee'])
    })

    test('are renamed', async ({ tags }) => {
      await tags.set('old', { hash, format: 'hash_seq' })
      await tags.set('taken', { hash: other, format: 'raw' })
      await tags.rename('old', 'new')
      assert.equal(await tags.get('old'), undefined)
      assertTag(await tags.get('new'), { name: 'new', hash, format: 'hash_seq' })
      await tags.rename('new', 'taken')
      assertTag(await tags.get('taken'), { name: 'taken', hash, format: 'hash_seq' })
      await tags.rename('taken', 'taken')
      assert.deepEqual(
        (await Array.fromAsync(tags.list())).map(tag => tag.name),
        ['taken']
      )
      await assertRejects(tags.rename('none', 'x'), 'ERR_TAG_NOT_FOUND')
      await assertRejects(tags.rename('taken', ''), 'ERR_INVALID_TAG_NAME')
      assertTag(await tags.get('taken'), { name: 'taken', hash, format: 'hash_seq' })
    })

    for (const [what, name] of [
      ['empty', ''],
      ['too long', 'x'.repeat(1025)],
      ['too long in bytes', '語'.repeat(342)],
      ['with NUL', 'a\0b'],
      ['not Unicode', 'a\ud800b']
    ] as const) {
      test(`have no name that is ${what}`, async ({ tags }) => {
        await assertRejects(tags.set(name, { hash, format: 'raw' }), 'ERR_INVALID_TAG_NAME')
        assert.deepEqual(await Array.fromAsync(tags.list()), [])
      })
    }

    test('name blobs that need not be there', async (store: BlobStore) => {
      const blob = sample(1234)
      await store.tags.set('later', { hash: blob.hash, format: 'raw' })
      await store.addBytes(blob.data)
      await store.delete(blob.hash)
      assertTag(await store.tags.get('later'), { name: 'later', hash: blob.hash, format: 'raw' })
    })

    test('are set many at once', async ({ tags }) => {
      await Promise.all(
        Array.from({ length: 100 }, (_, i) => tags.set(`tag ${i % 25}`, { hash, format: 'raw' }))
      )
      assert.equal((await Array.fromAsync(tags.list())).length, 25)
    })
  })
}

export function assertTag(actual: Tag | undefined, expected: Tag): void {
  assert.ok(actual, `there is no tag ${JSON.stringify(expected.name)}`)
  assert.deepEqual(
    { name: actual.name, hash: actual.hash.toString(), format: actual.format },
    { ...expected, hash: expected.hash.toString() }
  )
}
