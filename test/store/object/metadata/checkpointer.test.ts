/** The thread that brings the log into the database. */
import { copyFileSync, existsSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { Checkpointer } from '../../../../src/store/object/metadata/checkpointer.ts'
import { DatabaseDamagedError, Metadata } from '../../../../src/store/object/metadata/index.ts'
import { hashOf, testMetadata, testPath } from './support.ts'

/** How long to wait for what must come; a failure, never a measurement. */
const PATIENCE_MS = 60_000

async function until(isSo: () => boolean): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  while (!isSo()) {
    if (Date.now() > deadline) throw new Error('it did not come')
    await setTimeout(10)
  }
}

/** What is in the database without its log; nothing that can be told when it was copied in the middle of a write. */
function blobsWithoutLog(path: string): number {
  const copy = testPath()
  copyFileSync(path, copy)
  try {
    using metadata = Metadata.open(copy)
    return metadata.countBlobs().complete
  } catch (error) {
    if (error instanceof DatabaseDamagedError) return Number.NaN
    throw error
  }
}

function write(metadata: Metadata, first: number, count: number): void {
  for (let i = first; i < first + count; i++)
    metadata.markComplete(hashOf(i), { size: i, hasOutboard: false })
}

describe('the log', () => {
  it('is brought into the database when enough was written, though nobody closes it', async () => {
    const path = testPath()
    const metadata = testMetadata(path)
    write(metadata, 0, 490)
    await setTimeout(100)
    expect(blobsWithoutLog(path)).toBe(0)
    for (let round = 1; round <= 3; round++) {
      write(metadata, round * 1000, 1000)
      // The total of all blobs changes with each of them, so it begins with every 500th; other rows count, too.
      await until(() => blobsWithoutLog(path) >= round * 1000 - 20)
    }
    expect(metadata.countBlobs().complete).toBe(3490)
  })

  it('is brought in, and removed, by a close in the middle of it', async () => {
    for (let round = 0; round < 5; round++) {
      const path = testPath()
      const metadata = testMetadata(path)
      write(metadata, 0, 1000 + round * 100)
      metadata.close()
      // On a slow disk the thread may still be at it: then it is the last one to close.
      await until(() => !existsSync(`${path}-wal`))
      expect(blobsWithoutLog(path)).toBe(1000 + round * 100)
    }
  })

  it('counts what a transaction has changed, not transactions', async () => {
    const path = testPath()
    const metadata = testMetadata(path)
    metadata.transaction(() => write(metadata, 0, 1000))
    await until(() => blobsWithoutLog(path) === 1000)
  })
})

describe('a thread that cannot be', () => {
  it('is told once, and not started again', async () => {
    let told = 0
    const checkpointer = new Checkpointer(testPath(), () => told++)
    checkpointer.wrote(1000)
    expect(checkpointer.isAtWork).toBe(true)
    await until(() => told > 0)
    expect(checkpointer.isAtWork).toBe(false)
    checkpointer.wrote(5000)
    checkpointer.close()
    await setTimeout(50)
    expect(told).toBe(1)
  })
})
