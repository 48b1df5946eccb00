/** What no real storage can show in a test: the end of 80 GiB. */
import { describe, expect, it } from 'vitest'
import type { ObjectStorage, Upload } from '../../../../src/store/object/storage/index.ts'
import { MemoryStorage } from '../../../../src/store/object/storage/memory/index.ts'
import { MAX_PARTS } from '../../../../src/store/object/storage/part-size.ts'
import { uploadStream } from '../../../../src/store/object/storage/put-stream.ts'

const PART_BYTES = 1000

/** Takes parts that are smaller than any storage does, and keeps only their number. */
class SmallParts extends MemoryStorage implements ObjectStorage {
  parts = 0
  completed: number | undefined
  aborted = false

  override async upload(): Promise<Upload> {
    return {
      put: async () => {
        this.parts++
      },
      copy: async () => {
        this.parts++
      },
      complete: async size => {
        this.completed = size
      },
      abort: async () => {
        this.aborted = true
      }
    }
  }
}

async function* pieces(count: number, last: number): AsyncGenerator<Uint8Array> {
  const piece = new Uint8Array(PART_BYTES)
  for (let i = 0; i < count; i++) yield piece
  yield piece.subarray(0, last)
}

describe('uploadStream', () => {
  it('takes as many parts as S3 does', async () => {
    const storage = new SmallParts()
    const size = MAX_PARTS * PART_BYTES
    const options = { partBytes: PART_BYTES }
    expect(await uploadStream(storage, 'a', pieces(MAX_PARTS - 1, PART_BYTES), options)).toBe(size)
    expect(storage).toMatchObject({ parts: MAX_PARTS, completed: size })
  })

  it('says what to do when it is one byte more, and gives it up', async () => {
    const storage = new SmallParts()
    const writing = uploadStream(storage, 'a', pieces(MAX_PARTS, 1), { partBytes: PART_BYTES })
    await expect(writing).rejects.toMatchObject({
      name: 'StorageError',
      message: 'a has more than 10000 parts of 1000 bytes; tell its size, or use larger parts'
    })
    expect(storage).toMatchObject({ completed: undefined, aborted: true })
  })
})
