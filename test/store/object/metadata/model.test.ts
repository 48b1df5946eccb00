/** Whatever is called in whatever order, the index is what a few maps would be. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Hash } from '../../../../src/hash.ts'
import type { BlobFormat } from '../../../../src/store/index.ts'
import { Metadata } from '../../../../src/store/object/metadata/index.ts'
import { hashOf } from './support.ts'

/** An open store, or one that is not open any more. */
const OWNER = 'owner'

interface ModelBlob {
  readonly state: 'complete' | 'partial'
  readonly size: number
  readonly hasOutboard: boolean
  readonly fragments: Set<string>
}

/** The same methods, as plainly as can be. */
class Model {
  readonly blobs = new Map<string, ModelBlob>()
  readonly deletions = new Set<string>()
  readonly tags = new Map<string, { hash: Hash; format: BlobFormat }>()

  markComplete(hash: Hash, size: number, hasOutboard: boolean): void {
    this.blobs.set(hash.toBase32(), { state: 'complete', size, hasOutboard, fragments: new Set() })
    this.deletions.delete(hash.toBase32())
  }

  keepFragment(hash: Hash, size: number, add: string, drop: readonly string[]): boolean {
    const old = this.blobs.get(hash.toBase32())
    if (old?.state === 'complete') return false
    const fragments = new Set(old?.size === size ? old.fragments : [])
    for (const name of drop) fragments.delete(name)
    fragments.add(add)
    this.blobs.set(hash.toBase32(), { state: 'partial', size, hasOutboard: false, fragments })
    this.deletions.delete(hash.toBase32())
    return true
  }

  dropFragments(hash: Hash, names: readonly string[]): void {
    const blob = this.blobs.get(hash.toBase32())
    if (blob === undefined || blob.state === 'complete') return
    for (const name of names) blob.fragments.delete(name)
    if (blob.fragments.size === 0) this.blobs.delete(hash.toBase32())
  }

  remove(hash: Hash): boolean {
    if (!this.blobs.delete(hash.toBase32())) return false
    this.deletions.add(hash.toBase32())
    return true
  }
}

const HASHES = [0, 1, 2, 3].map(hashOf)
const hash = fc.constantFrom(...HASHES)
const size = fc.constantFrom(0, 1, 2 ** 40)
const fragment = fc.constantFrom('a', 'b', 'c')
const fragments = fc.uniqueArray(fragment)
const tagName = fc.oneof(
  fc.constantFrom('a', 'ab', 'b', 'é', '\uffff', '\u{1f600}'),
  fc.string({ minLength: 1, unit: 'grapheme' })
)
const format = fc.constantFrom<BlobFormat>('raw', 'hash_seq')

type Step = (real: Metadata, model: Model) => void

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(hash, size, fc.boolean()).map(
    ([hash, size, hasOutboard]): Step =>
      (real, model) => {
        real.markComplete(hash, { size, hasOutboard })
        model.markComplete(hash, size, hasOutboard)
      }
  ),
  fc.tuple(hash, size, fragment, fragments).map(
    ([hash, size, add, drop]): Step =>
      (real, model) => {
        expect(real.keepFragment(hash, { size, add, drop })).toBe(model.keepFragment(hash, size, add, drop))
      }
  ),
  fc.tuple(hash, fragments).map(
    ([hash, names]): Step =>
      (real, model) => {
        real.dropFragments(hash, names)
        model.dropFragments(hash, names)
      }
  ),
  hash.map(
    (hash): Step =>
      (real, model) => {
        expect(real.remove(hash, OWNER) !== undefined).toBe(model.remove(hash))
      }
  ),
  hash.map(
    (hash): Step =>
      (real, model) => {
        real.forget(hash)
        model.blobs.delete(hash.toBase32())
      }
  ),
  hash.map(
    (hash): Step =>
      (real, model) => {
        real.deletionDone(hash)
        model.deletions.delete(hash.toBase32())
      }
  ),
  fc.tuple(tagName, hash, format).map(
    ([name, hash, format]): Step =>
      (real, model) => {
        if (name.includes('\0')) return
        real.setTag({ name, hash, format })
        model.tags.set(name, { hash, format })
      }
  ),
  tagName.map(
    (name): Step =>
      (real, model) => {
        expect(real.deleteTag(name)).toBe(model.tags.delete(name))
      }
  ),
  // Given up half-way: nothing of it stays.
  hash.map(
    (hash): Step =>
      real => {
        expect(() =>
          real.transaction(() => {
            real.forget(hash)
            real.markComplete(hash, { size: 3, hasOutboard: true })
            throw new RangeError('given up')
          })
        ).toThrow(RangeError)
      }
  )
)

function expectSame(real: Metadata, model: Model): void {
  for (const hash of HASHES) {
    const row = real.find(hash)
    const { fragments, ...blob } = model.blobs.get(hash.toBase32()) ?? { fragments: new Set() }
    if (row === undefined) expect(blob).toEqual({})
    else expect(row).toMatchObject({ hash, ...blob })
    expect(real.fragments(hash)).toEqual([...fragments].sort())
    expect(real.isDeletionPending(hash)).toBe(model.deletions.has(hash.toBase32()))
  }
  const listed = real.listBlobs({ limit: 100 }).map(({ hash }) => hash.toBase32())
  expect(listed).toEqual([...model.blobs.keys()].sort())
  const states = [...model.blobs.values()].map(({ state }) => state)
  const complete = states.filter(state => state === 'complete').length
  expect(real.countBlobs()).toEqual({ complete, partial: states.length - complete })
  expect(new Set(real.pendingDeletions(100).map(hash => hash.toBase32()))).toEqual(model.deletions)
  const names = [...model.tags.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  expect(real.listTags({ limit: 1000 })).toEqual(names.map(name => ({ name, ...model.tags.get(name)! })))
  expect(real.countTags()).toBe(names.length)
  for (const prefix of ['', 'a', 'é']) {
    const found = real.listTags({ prefix, limit: 1000 }).map(({ name }) => name)
    expect(found).toEqual(names.filter(name => name.startsWith(prefix)))
  }
}

describe('the index', () => {
  it('is what maps would be', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), steps => {
        using real = Metadata.open(':memory:')
        const model = new Model()
        for (const run of steps) run(real, model)
        expectSame(real, model)
      }),
      { numRuns: 150 }
    )
  })
})
