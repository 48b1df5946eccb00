/** Hashing on threads: the same as hashing at once, and every failure comes out. */
import { once } from 'node:events'
import { appendFileSync, constants, truncateSync, writeFileSync } from 'node:fs'
import { mkdtemp, open, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GROUP_BYTES, hashBytes, OutboardBuilder, RUN_BYTES } from '../../../src/bao/index.ts'
import { EMPTY_HASH } from '../../../src/hash.ts'
import { JOB_BYTES } from '../../../src/store/hash-pool/constants.ts'
import { Crew } from '../../../src/store/hash-pool/crew.ts'
import { type FileCopy, type HashFileOptions, hashWith } from '../../../src/store/hash-pool/hash-file.ts'
import type { HashJob } from '../../../src/store/hash-pool/messages.ts'
import { InputFile } from '../../../src/store/input-file.ts'
import { OutboardSpool } from '../../../src/store/outboard-spool.ts'
import { randomData } from '../../helpers/data.ts'
import { startedCrew } from './support.ts'

const all = randomData(12 * JOB_BYTES)

let folder: string
let crew: Crew

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hash-file-'))
  crew = await startedCrew()
})

afterAll(async () => {
  await crew.end()
  await rm(folder, { recursive: true })
})

/** @param threads none: they are still starting when the file is hashed */
async function hashOf(path: string, options?: HashFileOptions, threads = crew) {
  await using file = await InputFile.open(path)
  const spool = OutboardSpool.inSystemFolder()
  try {
    const blob = await hashWith(threads, file, spool, options)
    return { blob, outboard: Buffer.concat(await Array.fromAsync(spool.inOrder(blob))) }
  } finally {
    await spool.close()
  }
}

/** A new file for what is hashed. */
async function newCopy() {
  const path = join(folder, 'copy')
  const file = await open(path, 'w+')
  // Where the system has no such flag, it is written as any other.
  const direct = await open(path, constants.O_WRONLY | (constants.O_DIRECT ?? 0))
  let written = 0
  const copy: FileCopy = {
    target: { file: file.fd, direct: direct.fd },
    allocate: bytes => new Uint8Array(bytes),
    write: async block => {
      await file.write(block, 0, block.length, written)
      written += block.length
    }
  }
  return {
    copy,
    readAll: async () => await readFile(path),
    [Symbol.asyncDispose]: async () => {
      await file.close()
      await direct.close()
    }
  }
}

async function fileOf(data: Uint8Array): Promise<string> {
  const path = join(folder, 'source')
  await writeFile(path, data)
  // Clocks of files are coarse: a change right after the file was made might not show.
  await utimes(path, 1, 1)
  return path
}

/** Sizes near those at which something changes. */
const sizes = fc
  .tuple(
    fc.constantFrom(0, GROUP_BYTES, RUN_BYTES, 2 * RUN_BYTES, JOB_BYTES, 3 * JOB_BYTES, 9 * JOB_BYTES),
    fc.constantFrom(-GROUP_BYTES - 1, -1, 0, 1, 4096, GROUP_BYTES, RUN_BYTES)
  )
  .map(([base, more]) => Math.max(0, base + more))

async function expectRight(size: number, threads?: Crew): Promise<void> {
  const data = all.subarray(0, size)
  const source = await fileOf(data)
  let hashed = 0
  const onHashed = (bytes: number) => {
    hashed += bytes
  }
  await using into = await newCopy()
  const { blob, outboard } = await hashOf(source, { copy: into.copy, onHashed }, threads)
  const expected = hashBytes(data)
  expect(blob.hash.toString()).toBe(expected.hash.toString())
  expect([blob.size, hashed]).toEqual([size, size])
  expect(Buffer.compare(outboard, expected.outboard)).toBe(0)
  expect(Buffer.compare(await into.readAll(), data)).toBe(0)
}

describe('a file that is hashed and copied', () => {
  it('has the hash, the outboard and the bytes that it has at once', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, async size => await expectRight(size)),
      { numRuns: 30 }
    )
  }, 300_000)

  it.each([1, 2, 3, 4, 5])('has them when threads start while it is hashed (%i)', async () => {
    const starting = new Crew(() => undefined)
    try {
      await expectRight(all.length - 1, starting)
    } finally {
      await starting.end()
    }
  })

  it('has them when threads start behind its first MiB', async () => {
    // What a builder holds back of a blob that could still be of one run.
    const late = { isReady: false, width: crew.width, run: (job: HashJob) => crew.run(job) }
    const source = await fileOf(all)
    const onHashed = () => {
      late.isReady = true
    }
    const { blob, outboard } = await hashOf(source, { onHashed }, late as Crew)
    const expected = hashBytes(all)
    expect(blob.hash.toString()).toBe(expected.hash.toString())
    expect(Buffer.compare(outboard, expected.outboard)).toBe(0)
  })
})

describe('a file that is being hashed', () => {
  const size = 12 * JOB_BYTES

  it.each([
    ['grows', (path: string) => appendFileSync(path, 'more')],
    ['is cut off', (path: string) => truncateSync(path, size - 1)],
    ['is emptied', (path: string) => truncateSync(path)],
    ['gets other content', (path: string) => writeFileSync(path, 'other', { flag: 'r+' })]
  ])('and %s has changed', async (_, change) => {
    const path = await fileOf(all.subarray(0, size))
    let isChanged = false
    const onHashed = () => {
      // At once: else it might all have been hashed before.
      if (!isChanged) change(path)
      isChanged = true
    }
    const hashing = hashOf(path, { onHashed })
    await expect(hashing).rejects.toMatchObject({ code: 'ERR_FILE_CHANGED' })
  })

  it('has a copy of the very bytes that were hashed, also when it is written to all the time', async () => {
    const path = await fileOf(all.subarray(0, size))
    await using into = await newCopy()
    await using file = await InputFile.open(path)
    const spool = OutboardSpool.inSystemFolder()
    const writer = new Worker(WRITE_ALL_THE_TIME, { eval: true, workerData: { path, size } })
    try {
      await once(writer, 'message')
      const hashing = hashWith(crew, file, spool, { copy: into.copy })
      await expect(hashing).rejects.toMatchObject({ code: 'ERR_FILE_CHANGED' })
      // That it has changed is noticed at the end: the nodes of all runs are known by then.
      const hashed = await Array.fromAsync(spool.inOrder({ hash: EMPTY_HASH, size, top: [] }))
      expect(Buffer.compare(Buffer.concat(hashed), Buffer.concat(nodesOfRuns(await into.readAll())))).toBe(0)
    } finally {
      await writer.terminate()
      await spool.close()
    }
  })
})

/** Changes a byte here and there, until it is ended. */
const WRITE_ALL_THE_TIME = `
  const { openSync, writeSync } = require('node:fs')
  const { parentPort, workerData: { path, size } } = require('node:worker_threads')
  const file = openSync(path, 'r+')
  for (let i = 1; ; i++) {
    writeSync(file, Uint8Array.of(i), 0, 1, (i * 77777) % size)
    if (i === 1) parentPort.postMessage('changed')
  }
`

function nodesOfRuns(data: Uint8Array): Uint8Array[] {
  const nodes: Uint8Array[] = []
  const builder = new OutboardBuilder(({ pairs }) => nodes.push(pairs.slice()))
  builder.push(data)
  builder.finish()
  return nodes
}
