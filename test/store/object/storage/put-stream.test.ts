/** What no real storage can show in a test: the end of 80 GiB. */
import { describe, expect, it } from 'vitest'
import type {
  ObjectStorage,
  Slice,
  StorageOptions,
  Upload
} from '../../../../src/store/object/storage/index.ts'
import { MemoryStorage } from '../../../../src/store/object/storage/memory/index.ts'
import { MAX_PARTS } from '../../../../src/store/object/storage/part-size.ts'
import { putStream, uploadStream } from '../../../../src/store/object/storage/put-stream.ts'
import { randomData } from '../../../helpers/data.ts'
import { bytes, expectObject, keysOf, streamOf } from './suite/support.ts'

const PART_BYTES = 1000
const UPLOAD_BYTES = MAX_PARTS * PART_BYTES

/** Takes parts that are smaller than any storage does. */
class SmallParts extends MemoryStorage implements ObjectStorage {
  /** What was done, and to which key. */
  readonly calls: string[] = []
  /** Uploads that were begun, and neither completed nor given up. */
  readonly open = new Set<string>()
  /** Called before anything but a part is done. */
  before: ((call: string) => void) | undefined
  /** The call whose answer is lost: it is done, and fails. */
  lost: string | undefined

  override async upload(key: string): Promise<Upload> {
    this.#enter(`upload ${key}`)
    const parts: Uint8Array[] = []
    this.open.add(key)
    return {
      put: async (number, pieces) => {
        if (number >= MAX_PARTS) throw new Error('too many parts')
        parts[number] = Buffer.concat(pieces)
      },
      copy: async () => {
        throw new Error('not used')
      },
      complete: async () => {
        this.#enter(`complete ${key}`)
        this.open.delete(key)
        await super.put(key, parts)
        this.#leave(`complete ${key}`)
      },
      abort: async () => {
        this.open.delete(key)
      }
    }
  }

  override async compose(key: string, slices: readonly Slice[], options?: StorageOptions): Promise<void> {
    this.#enter(`compose ${key}`)
    await super.compose(key, slices, options)
    this.#leave(`compose ${key}`)
  }

  #enter(call: string): void {
    this.before?.(call)
    this.calls.push(call)
  }

  #leave(call: string): void {
    if (call === this.lost) throw new Error('out of order')
  }
}

const options = { partBytes: PART_BYTES }
const content = randomData(2 * UPLOAD_BYTES + 1)

describe('uploadStream', () => {
  it('takes as many parts as S3 does', async () => {
    const storage = new SmallParts()
    const whole = content.subarray(0, UPLOAD_BYTES)
    expect(await uploadStream(storage, 'a', streamOf(whole), options)).toBe(whole.length)
    await expectObject(storage, 'a', whole)
    expect(storage.calls).toEqual(['upload a', 'complete a'])
  })

  it.each([UPLOAD_BYTES + 1, UPLOAD_BYTES + 3 * PART_BYTES, 2 * UPLOAD_BYTES, 2 * UPLOAD_BYTES + 1])(
    'goes on in further uploads when it is more (%i bytes)',
    async size => {
      const storage = new SmallParts()
      const whole = content.subarray(0, size)
      const told: number[] = []
      const onProgress = (taken: number) => told.push(taken)
      expect(await uploadStream(storage, 'a', streamOf(whole), { ...options, onProgress })).toBe(size)
      await expectObject(storage, 'a', whole)
      expect(await keysOf(storage)).toEqual(['a'])
      expect(storage.open.size).toBe(0)
      expect(told).toEqual(told.toSorted((a, b) => a - b))
      expect(told.at(-1)).toBe(size)
      const uploads = storage.calls.filter(call => call.startsWith('upload'))
      expect(uploads).toEqual(
        ['upload a', 'upload a-1', 'upload a-2'].slice(0, Math.ceil(size / UPLOAD_BYTES))
      )
    }
  )

  for (const failing of [
    'complete a',
    'upload a-1',
    'complete a-1',
    'upload a-2',
    'complete a-2',
    'compose a'
  ]) {
    it(`leaves nothing of it when it fails (${failing})`, async () => {
      const storage = new SmallParts()
      storage.before = call => {
        if (call === failing) throw new Error('out of order')
      }
      await expect(uploadStream(storage, 'a', streamOf(content), options)).rejects.toThrow('out of order')
      expect(await keysOf(storage)).toEqual([])
      expect(storage.open.size).toBe(0)
    })
  }

  it.each(['complete a', 'complete a-1', 'complete a-2', 'compose a'])(
    'leaves nothing of it when an answer is lost (%s)',
    async lost => {
      const storage = new SmallParts()
      storage.lost = lost
      await expect(uploadStream(storage, 'a', streamOf(content), options)).rejects.toThrow('out of order')
      expect(await keysOf(storage)).toEqual([])
    }
  )

  it('leaves nothing of it when the source fails, or the signal aborts', async () => {
    const reason = new Error('no longer wanted')
    for (const way of ['source', 'signal']) {
      const storage = new SmallParts()
      const stop = new AbortController()
      const source = async function* () {
        yield* streamOf(content.subarray(0, UPLOAD_BYTES + 3 * PART_BYTES))
        if (way === 'source') throw reason
        stop.abort(reason)
        await new Promise(() => undefined)
      }
      const writing = uploadStream(storage, 'a', source(), { ...options, signal: stop.signal })
      await expect(writing).rejects.toBe(reason)
      expect(storage.calls).toEqual(['upload a', 'complete a', 'upload a-1'])
      expect(await keysOf(storage)).toEqual([])
      expect(storage.open.size).toBe(0)
    }
  })
})

describe('putStream', () => {
  it('never shows the beginning only: it refuses parts that are too small', async () => {
    const storage = new SmallParts()
    await storage.put('a', [bytes(5)])
    await expect(putStream(storage, 'a', content.length, streamOf(content), options)).rejects.toMatchObject({
      name: 'StorageError',
      message: 'a has more than 10000 parts of 1000 bytes; use larger parts'
    })
    await expectObject(storage, 'a', bytes(5))
    expect(storage.open.size).toBe(0)
  })
})
