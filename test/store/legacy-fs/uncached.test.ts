/** Writing past the system's cache: the same bytes are in the file, whichever way each of them has taken. */
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PartialFiles } from '../../../src/store/legacy-fs/partial-files.ts'
import { isWorthIt, UncachedFile } from '../../../src/store/uncached.ts'

const GROUP = 16 * 1024
const MOST_GROUPS = 160

let folder: string
let files = 0

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'uncached-'))
})

afterAll(async () => {
  await rm(folder, { recursive: true })
})

async function openPair(): Promise<{ path: string; pair: PartialFiles }> {
  const path = join(folder, String(files++))
  return { path, pair: await PartialFiles.of(await open(path, 'wx+'), await open(`${path}.outboard`, 'wx+')) }
}

/** Bytes that tell where they belong. */
function contentOf(size: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(size / 4))
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + 1, 0x9e3779b1)
  return new Uint8Array(words.buffer, 0, size)
}

/** At odd addresses, as bytes out of a stream are. */
function groupsOf(content: Uint8Array, from: number, to: number): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let at = from; at < to; at += GROUP) {
    const group = content.subarray(at, Math.min(at + GROUP, to))
    const odd = new Uint8Array(group.length + 7).subarray(7)
    odd.set(group)
    pieces.push(odd)
  }
  return pieces
}

describe('writeData', () => {
  it('writes every byte, in pieces of any number and order, at the same time', async () => {
    const cut = fc.integer({ min: 1, max: MOST_GROUPS - 1 })
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(cut), fc.integer({ min: 1, max: GROUP }), async (cuts, tail) => {
        const size = MOST_GROUPS * GROUP + tail
        const content = contentOf(size)
        const bounds = [0, ...cuts.toSorted((a, b) => a - b).map(group => group * GROUP), size]
        const { path, pair } = await openPair()
        try {
          const writes = bounds
            .slice(1)
            .map((to, i) => pair.writeData(groupsOf(content, bounds[i]!, to), bounds[i]!))
          await Promise.all(writes.toReversed())
          await pair.sync()
          expect((await pair.lengths()).data).toBe(BigInt(size))
        } finally {
          await pair.close()
        }
        expect(Buffer.compare(await readFile(path), content)).toBe(0)
        await rm(path)
      }),
      { numRuns: 20 }
    )
  })

  it('overwrites what a reader has in the cache', async () => {
    const { path, pair } = await openPair()
    const size = 64 * GROUP
    await pair.writeData(groupsOf(new Uint8Array(size), 0, size), 0)
    expect((await readFile(path)).every(byte => byte === 0)).toBe(true)
    const content = contentOf(size)
    await pair.writeData(groupsOf(content, 0, size), 0)
    await pair.close()
    expect(Buffer.compare(await readFile(path), content)).toBe(0)
  })

  it('says what went wrong', async () => {
    const { pair } = await openPair()
    await pair.close()
    await expect(pair.writeData(groupsOf(contentOf(64 * GROUP), 0, 64 * GROUP), 0)).rejects.toThrow()
  })
})

describe('UncachedFile', () => {
  it('takes whole disk blocks only, and leaves the rest', async () => {
    const path = join(folder, String(files++))
    const file = await open(path, 'wx+')
    const uncached = await UncachedFile.of(file, 'write')
    // Not on every system, and not on every file system.
    if (uncached !== undefined) {
      const content = contentOf(100 * GROUP + 100)
      expect(await uncached.write(groupsOf(content, 0, content.length), 0)).toBe(100 * GROUP)
      await uncached.close()
    }
    await file.close()
  })

  it.each([
    ['little', 1, 0, false],
    ['much', 64, 0, true],
    ['much, between two blocks', 64, 100, false]
  ])('is worth it or not: %s', (_, groups, offset, expected) => {
    expect(isWorthIt(groupsOf(contentOf(groups * GROUP), 0, groups * GROUP), offset)).toBe(expected)
  })
})

it('where WebAssembly and its memory are forbidden, writes all the same', async () => {
  const { path, pair } = await openPair()
  const Memory = WebAssembly.Memory
  Object.defineProperty(WebAssembly, 'Memory', { configurable: true, value: undefined })
  try {
    const content = contentOf(10 * 64 * GROUP)
    const writes = Array.from({ length: 10 }, (_, i) =>
      pair.writeData(groupsOf(content, i * 64 * GROUP, (i + 1) * 64 * GROUP), i * 64 * GROUP)
    )
    await Promise.all(writes)
    expect(Buffer.compare(await readFile(path), content)).toBe(0)
  } finally {
    Object.defineProperty(WebAssembly, 'Memory', { configurable: true, value: Memory })
    await pair.close()
  }
})
