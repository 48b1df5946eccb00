/** What each method of the index does. */
import { copyFileSync, existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { EMPTY_HASH } from '../../../../src/hash.ts'
import { InvalidTagNameError, StoreClosedError } from '../../../../src/store/errors.ts'
import type { Metadata } from '../../../../src/store/object/metadata/index.ts'
import { hashOf, raw, testFolder, testMetadata, testPath } from './support.ts'

/** An open store, or one that is not open any more. */
const OWNER = 'owner'

const HASH = hashOf(1)
const OTHER = hashOf(2)
const PARTIAL = { size: 100_000, add: 'a', drop: [] }

let metadata: Metadata

beforeEach(() => {
  metadata = testMetadata()
})

describe('a blob', () => {
  it('that nobody has put in is not there', () => {
    expect(metadata.find(HASH)).toBe(undefined)
    expect(metadata.fragments(HASH)).toEqual([])
    expect(metadata.listBlobs({ limit: 10 })).toEqual([])
    expect(metadata.countBlobs()).toEqual({ complete: 0, partial: 0 })
  })

  it.each([0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER])('of %i bytes is found as it was marked', size => {
    metadata.markComplete(HASH, { size, hasOutboard: size > 16_384 })
    expect(metadata.find(HASH)).toEqual({
      hash: HASH,
      size,
      state: 'complete',
      hasOutboard: size > 16_384,
      createdAt: expect.any(Number),
      updatedAt: expect.any(Number)
    })
    expect(metadata.find(OTHER)).toBe(undefined)
  })

  it.each([-1, 1.5, Number.NaN, 2 ** 53])('of %d bytes is refused', size => {
    expect(() => metadata.markComplete(HASH, { size, hasOutboard: false })).toThrow(/constraint|datatype/i)
    expect(metadata.find(HASH)).toBe(undefined)
  })

  it('knows since when it is there, and when it changed last', () => {
    vi.useFakeTimers({ toFake: ['Date'], now: 1000 })
    try {
      metadata.keepFragment(HASH, PARTIAL)
      expect(metadata.find(HASH)).toMatchObject({ createdAt: 1000, updatedAt: 1000 })
      vi.setSystemTime(2000)
      metadata.markComplete(HASH, { size: 100_000, hasOutboard: true })
      expect(metadata.find(HASH)).toMatchObject({ createdAt: 1000, updatedAt: 2000 })
    } finally {
      vi.useRealTimers()
    }
  })

  it('has changed later with each change, though the clock stands still or goes back', () => {
    vi.useFakeTimers({ toFake: ['Date'], now: 1000 })
    try {
      const changes = [
        () => metadata.keepFragment(HASH, PARTIAL),
        () => metadata.keepFragment(HASH, { ...PARTIAL, add: 'b', drop: ['a'] }),
        () => metadata.keepFragments(HASH, { size: 100_000, add: ['c', 'd'], drop: [] }),
        () => metadata.dropFragments(HASH, ['c', 'd']),
        () => vi.setSystemTime(500),
        () => metadata.keepFragment(HASH, { ...PARTIAL, size: 5 }),
        () => metadata.markComplete(HASH, { size: 5, hasOutboard: false })
      ]
      const times = changes.map(change => {
        change()
        return metadata.find(HASH)!.updatedAt
      })
      expect(times).toEqual([1000, 1001, 1002, 1003, 1003, 1004, 1005])
      metadata.dropFragments(HASH, ['not there'])
      expect(metadata.find(HASH)!.updatedAt).toBe(1005)
    } finally {
      vi.useRealTimers()
    }
  })

  it('is listed once, in the order of base32, page by page', () => {
    const hashes = Array.from({ length: 25 }, (_, i) => hashOf(i))
    for (const hash of hashes) metadata.markComplete(hash, { size: 1, hasOutboard: false })
    const found: string[] = []
    for (let after = undefined as typeof HASH | undefined; ; ) {
      const page = metadata.listBlobs({ after, limit: 10 })
      found.push(...page.map(({ hash }) => hash.toBase32()))
      after = page.at(-1)?.hash
      if (page.length < 10) break
    }
    expect(found).toEqual(hashes.map(hash => hash.toBase32()).sort())
  })

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('is not listed up to a limit of %d', limit => {
    expect(() => metadata.listBlobs({ limit })).toThrow(RangeError)
    expect(() => metadata.listTags({ limit })).toThrow(RangeError)
    expect(() => metadata.pendingDeletions(limit)).toThrow(RangeError)
  })

  it('is counted by its state', () => {
    metadata.markComplete(HASH, { size: 1, hasOutboard: false })
    metadata.keepFragment(OTHER, PARTIAL)
    metadata.keepFragment(OTHER, { ...PARTIAL, add: 'b' })
    expect(metadata.countBlobs()).toEqual({ complete: 1, partial: 1 })
    metadata.markComplete(OTHER, { size: 100_000, hasOutboard: true })
    expect(metadata.countBlobs()).toEqual({ complete: 2, partial: 0 })
    metadata.remove(HASH, OWNER)
    metadata.forget(OTHER)
    expect(metadata.countBlobs()).toEqual({ complete: 0, partial: 0 })
  })
})

describe('a partial blob', () => {
  it('has its fragments, each once', () => {
    expect(metadata.keepFragment(HASH, PARTIAL)).toBe(true)
    expect(metadata.keepFragment(HASH, { ...PARTIAL, add: 'b' })).toBe(true)
    expect(metadata.keepFragment(HASH, { ...PARTIAL, add: 'b' })).toBe(true)
    expect(metadata.fragments(HASH)).toEqual(['a', 'b'])
    expect(metadata.find(HASH)).toMatchObject({ state: 'partial', size: 100_000, hasOutboard: false })
  })

  it('gives up the fragments that another one makes needless', () => {
    for (const add of ['a', 'b', 'c']) metadata.keepFragment(HASH, { ...PARTIAL, add })
    metadata.keepFragment(HASH, { ...PARTIAL, add: 'abc', drop: ['a', 'b', 'not there'] })
    expect(metadata.fragments(HASH)).toEqual(['abc', 'c'])
  })

  it('keeps a fragment that is to be added and dropped at once', () => {
    metadata.keepFragment(HASH, { ...PARTIAL, add: 'a', drop: ['a'] })
    expect(metadata.fragments(HASH)).toEqual(['a'])
  })

  it('forgets all of another size', () => {
    metadata.keepFragment(HASH, PARTIAL)
    metadata.keepFragment(HASH, { size: 5, add: 'z', drop: [] })
    expect(metadata.fragments(HASH)).toEqual(['z'])
    expect(metadata.find(HASH)).toMatchObject({ state: 'partial', size: 5 })
  })

  it('is not there any more without fragments', () => {
    for (const add of ['a', 'b']) metadata.keepFragment(HASH, { ...PARTIAL, add })
    metadata.dropFragments(HASH, ['a'])
    expect(metadata.find(HASH)?.state).toBe('partial')
    metadata.dropFragments(HASH, ['b', 'not there'])
    expect(metadata.find(HASH)).toBe(undefined)
    expect(metadata.isDeletionPending(HASH)).toBe(false)
  })

  it('becomes complete, and its fragments are forgotten', () => {
    metadata.keepFragment(HASH, PARTIAL)
    metadata.markComplete(HASH, { size: 100_000, hasOutboard: true })
    expect(metadata.find(HASH)).toMatchObject({ state: 'complete', hasOutboard: true })
    expect(metadata.fragments(HASH)).toEqual([])
  })

  it('is never made of a complete one', () => {
    metadata.markComplete(HASH, { size: 100_000, hasOutboard: true })
    const before = metadata.find(HASH)
    expect(metadata.keepFragment(HASH, PARTIAL)).toBe(false)
    metadata.dropFragments(HASH, ['a'])
    expect(metadata.find(HASH)).toEqual(before)
    expect(metadata.fragments(HASH)).toEqual([])
  })

  it('takes its fragments along', () => {
    for (const end of ['remove', 'forget'] as const) {
      metadata.keepFragment(HASH, PARTIAL)
      metadata.keepFragment(OTHER, PARTIAL)
      if (end === 'remove') metadata.remove(HASH, OWNER)
      else metadata.forget(HASH)
      expect(metadata.fragments(HASH)).toEqual([])
      expect(metadata.fragments(OTHER)).toEqual(['a'])
    }
  })
})

describe('a deletion', () => {
  it('is noted with what was removed', () => {
    metadata.markComplete(HASH, { size: 7, hasOutboard: false })
    expect(metadata.remove(HASH, OWNER)).toMatchObject({ hash: HASH, size: 7, state: 'complete' })
    expect(metadata.find(HASH)).toBe(undefined)
    expect(metadata.pendingDeletions(10)).toEqual([HASH])
    expect(metadata.isDeletionPending(HASH)).toBe(true)
    expect(metadata.remove(HASH, OWNER)).toBe(undefined)
    metadata.deletionDone(HASH)
    metadata.deletionDone(HASH)
    expect(metadata.pendingDeletions(10)).toEqual([])
    expect(metadata.isDeletionPending(HASH)).toBe(false)
  })

  it('is not noted for what is not there, or is forgotten', () => {
    expect(metadata.remove(HASH, OWNER)).toBe(undefined)
    metadata.markComplete(OTHER, { size: 7, hasOutboard: false })
    metadata.forget(OTHER)
    metadata.forget(OTHER)
    expect(metadata.pendingDeletions(10)).toEqual([])
  })

  it.each(['markComplete', 'keepFragment'] as const)('is off when the blob is back, by %s', way => {
    metadata.markComplete(HASH, { size: 7, hasOutboard: false })
    metadata.remove(HASH, OWNER)
    if (way === 'markComplete') metadata.markComplete(HASH, { size: 7, hasOutboard: false })
    else metadata.keepFragment(HASH, PARTIAL)
    expect(metadata.isDeletionPending(HASH)).toBe(false)
  })

  it('is taken over once, and only by who knows how it stands', () => {
    metadata.markComplete(HASH, { size: 7, hasOutboard: false })
    metadata.remove(HASH, OWNER)
    const note = metadata.deletion(HASH)!
    expect(note).toMatchObject({ owner: OWNER, isBegun: false })
    expect(metadata.beginDeletion(HASH, note, 'a')).toBe(true)
    expect(metadata.beginDeletion(HASH, note, 'b')).toBe(false)
    expect(metadata.deletion(HASH)).toMatchObject({ owner: 'a', isBegun: true, createdAt: note.createdAt })
    expect(metadata.renewDeletions(OWNER)).toBe(0)
    expect(metadata.renewDeletions('a')).toBe(1)
  })

  it('can be withdrawn before it is begun', () => {
    for (const isBegun of [false, true]) {
      metadata.markComplete(HASH, { size: 7, hasOutboard: false })
      metadata.remove(HASH, OWNER)
      if (isBegun) metadata.beginDeletion(HASH, metadata.deletion(HASH)!, OWNER)
      expect(metadata.withdrawDeletion(HASH)).toBe(!isBegun)
      expect(metadata.isDeletionPending(HASH)).toBe(isBegun)
    }
    metadata.forgetDeletions()
    expect(metadata.pendingDeletions(10)).toEqual([])
  })

  it('that waits longest comes first', () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    try {
      const hashes = [5, 3, 9, 1].map(hashOf)
      for (const [i, hash] of hashes.entries()) {
        vi.setSystemTime(i * 1000)
        metadata.markComplete(hash, { size: 7, hasOutboard: false })
        metadata.remove(hash, OWNER)
      }
      expect(metadata.pendingDeletions(3)).toEqual(hashes.slice(0, 3))
    } finally {
      vi.useRealTimers()
    }
  })
})

describe('a tag', () => {
  it('is set, replaced, found and deleted', () => {
    expect(metadata.getTag('a')).toBe(undefined)
    metadata.setTag({ name: 'a', hash: HASH, format: 'raw' })
    expect(metadata.getTag('a')).toEqual({ name: 'a', hash: HASH, format: 'raw' })
    metadata.setTag({ name: 'a', hash: OTHER, format: 'hash_seq' })
    expect(metadata.getTag('a')).toEqual({ name: 'a', hash: OTHER, format: 'hash_seq' })
    expect(metadata.countTags()).toBe(1)
    expect(metadata.deleteTag('a')).toBe(true)
    expect(metadata.deleteTag('a')).toBe(false)
    expect(metadata.countTags()).toBe(0)
  })

  const NAMES = ['\ufeffbom', 'a', 'a\u007f', 'ab', 'aé', 'a\uffff', 'a\u{10ffff}', 'b', '\u{1f600}', 'ÿ']

  it('is listed in the order of UTF-8, which is not that of JavaScript', () => {
    for (const name of NAMES) metadata.setTag({ name, hash: HASH, format: 'raw' })
    const sorted = NAMES.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    expect(sorted).not.toEqual(NAMES.toSorted())
    expect(metadata.listTags({ limit: 100 }).map(({ name }) => name)).toEqual(sorted)
    expect(metadata.listTags({ limit: 2, after: 'a' }).map(({ name }) => name)).toEqual(['ab', 'a\u007f'])
  })

  it.each(['', 'a', 'aé', 'a\u{10ffff}', 'z', '\ufeff', '\ud83d', 'A', '%', 'a%'])(
    'is listed by prefix %j',
    prefix => {
      for (const name of NAMES) metadata.setTag({ name, hash: HASH, format: 'raw' })
      const bytes = (text: string): string => Buffer.from(text).toString('hex')
      const expected = NAMES.filter(name => prefix.isWellFormed() && bytes(name).startsWith(bytes(prefix)))
      const found = metadata.listTags({ prefix, limit: 100 }).map(({ name }) => name)
      expect(found.toSorted()).toEqual(expected.toSorted())
    }
  )

  it('goes on behind a name, within a prefix', () => {
    for (const name of ['a1', 'b1', 'b2', 'b3', 'c1']) metadata.setTag({ name, hash: HASH, format: 'raw' })
    const names = (after: string): string[] =>
      metadata.listTags({ prefix: 'b', after, limit: 2 }).map(({ name }) => name)
    expect(names('a1')).toEqual(['b1', 'b2'])
    expect(names('b1')).toEqual(['b2', 'b3'])
    expect(names('c1')).toEqual([])
  })

  it.each(['', 'a\0', '\ud800', 'é'.repeat(513)])('cannot be called %j', name => {
    expect(() => metadata.setTag({ name, hash: HASH, format: 'raw' })).toThrow(InvalidTagNameError)
    expect(metadata.getTag(name)).toBe(undefined)
    expect(metadata.deleteTag(name)).toBe(false)
  })

  it('may have 1024 bytes', () => {
    const name = 'é'.repeat(512)
    metadata.setTag({ name, hash: HASH, format: 'raw' })
    expect(metadata.getTag(name)?.name).toBe(name)
  })
})

describe('a fact', () => {
  it('is known until it is not any more', () => {
    expect(metadata.fact('a')).toBe(undefined)
    metadata.setFact('a', '1')
    metadata.setFact('a', '')
    expect(metadata.fact('a')).toBe('')
    metadata.setFact('a', undefined)
    expect(metadata.fact('a')).toBe(undefined)
  })
})

describe('a transaction', () => {
  it('keeps all or nothing, also within another one', () => {
    expect(() =>
      metadata.transaction(() => {
        metadata.markComplete(HASH, { size: 1, hasOutboard: false })
        metadata.setTag({ name: 'a', hash: HASH, format: 'raw' })
        throw new TypeError('no')
      })
    ).toThrow(TypeError)
    expect(metadata.find(HASH)).toBe(undefined)
    expect(metadata.countTags()).toBe(0)

    const result = metadata.transaction(() => {
      metadata.setFact('outer', '1')
      expect(() =>
        metadata.transaction(() => {
          metadata.setFact('inner', '1')
          throw new TypeError('no')
        })
      ).toThrow(TypeError)
      return 5
    })
    expect(result).toBe(5)
    expect([metadata.fact('outer'), metadata.fact('inner')]).toEqual(['1', undefined])
  })

  it('does not wait', () => {
    expect(() => metadata.transaction(async () => metadata.setFact('a', '1'))).toThrow(TypeError)
  })
})

describe('a database', () => {
  it('in memory is another one each time', () => {
    metadata.setFact('a', '1')
    expect(testMetadata().fact('a')).toBe(undefined)
    expect(metadata.path).toBe(':memory:')
  })

  it('in a file is there again when it is opened again, and leaves nothing beside it', () => {
    const path = join(testFolder(), 'some', 'folders', 'blobs.db')
    using first = testMetadata(path)
    first.keepFragment(HASH, PARTIAL)
    first.setTag({ name: 'a', hash: HASH, format: 'raw' })
    first.close()
    expect(existsSync(`${path}-wal`)).toBe(false)
    const second = testMetadata(path)
    expect(second.fragments(HASH)).toEqual(['a'])
    expect(second.getTag('a')?.hash).toEqual(HASH)
    expect(second.path).toBe(path)
  })

  it('may be called like a URI', () => {
    const path = join(testFolder(), 'file:blobs.db?mode=memory')
    testMetadata(path).setFact('a', '1')
    expect(existsSync(path)).toBe(true)
  })

  it('is on disk when it is closed, though others have it open', () => {
    const path = testPath()
    const first = testMetadata(path)
    const second = testMetadata(path)
    second.setFact('a', '1')
    second.close()
    // The log is not copied.
    const copy = testPath()
    copyFileSync(path, copy)
    expect(testMetadata(copy).fact('a')).toBe('1')
    expect(first.fact('a')).toBe('1')
  })

  it('is written to in the way that was chosen', () => {
    const path = testPath()
    testMetadata(path)
    expect(raw(path, database => database.pragma('journal_mode', { simple: true }))).toBe('wal')
    expect(existsSync(dirname(path))).toBe(true)
  })

  it('tells when another connection has written', () => {
    const path = testPath()
    const first = testMetadata(path)
    const second = testMetadata(path)
    const before = first.changes()
    expect(first.changes()).toBe(before)
    first.setFact('a', '1')
    expect(first.changes()).toBe(before)
    second.markComplete(HASH, { size: 1, hasOutboard: false })
    expect(first.changes()).not.toBe(before)
    expect(first.find(HASH)?.state).toBe('complete')
  })
})

/** Each method with arguments that would do. Not a method more or less: see the test. */
const CALLS: Record<string, (closed: Metadata) => unknown> = {
  find: closed => closed.find(HASH),
  listBlobs: closed => closed.listBlobs({ limit: 1 }),
  countBlobs: closed => closed.countBlobs(),
  markComplete: closed => closed.markComplete(HASH, { size: 1, hasOutboard: false }),
  fragments: closed => closed.fragments(HASH),
  keepFragment: closed => closed.keepFragment(HASH, PARTIAL),
  keepFragments: closed => closed.keepFragments(HASH, { size: 1, add: ['a'], drop: [] }),
  dropFragments: closed => closed.dropFragments(HASH, []),
  remove: closed => closed.remove(HASH, OWNER),
  forget: closed => closed.forget(HASH),
  pendingDeletions: closed => closed.pendingDeletions(1),
  isDeletionPending: closed => closed.isDeletionPending(HASH),
  deletion: closed => closed.deletion(HASH),
  beginDeletion: closed =>
    closed.beginDeletion(HASH, { owner: OWNER, isBegun: false, createdAt: 0, renewedAt: 0 }, OWNER),
  renewDeletions: closed => closed.renewDeletions(OWNER),
  withdrawDeletion: closed => closed.withdrawDeletion(HASH),
  forgetDeletions: closed => closed.forgetDeletions(),
  deletionDone: closed => closed.deletionDone(HASH),
  setTag: closed => closed.setTag({ name: 'a', hash: EMPTY_HASH, format: 'raw' }),
  getTag: closed => closed.getTag('a'),
  deleteTag: closed => closed.deleteTag('a'),
  listTags: closed => closed.listTags({ limit: 1 }),
  countTags: closed => closed.countTags(),
  protectionSeq: closed => closed.protectionSeq(),
  protectedBetween: closed => closed.protectedBetween(0, 1, 1),
  newLease: closed => closed.newLease('a', OWNER),
  protect: closed => closed.protect('a', [{ hash: HASH, format: 'raw' }]),
  endLease: closed => closed.endLease('a', 1),
  renewLeases: closed => closed.renewLeases(OWNER),
  leases: closed => closed.leases(),
  completeBytes: closed => closed.completeBytes(),
  listPartial: closed => closed.listPartial({ limit: 1 }),
  fact: closed => closed.fact('a'),
  setFact: closed => closed.setFact('a', '1'),
  transaction: closed => closed.transaction(() => 1),
  changes: closed => closed.changes()
}

describe('a closed database', () => {
  it('is known with all its methods here', () => {
    const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(metadata))
    expect(Object.keys(CALLS).sort()).toEqual(
      methods.filter(name => name !== 'constructor' && name !== 'close').sort()
    )
  })

  it.each(Object.entries(CALLS))('refuses %s', (_, call) => {
    metadata.close()
    metadata.close()
    expect(() => call(metadata)).toThrow(StoreClosedError)
  })
})
