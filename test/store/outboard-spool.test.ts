import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { PAIR_BYTES, RUN_BYTES, RUN_GROUPS } from '../../src/bao/constants.ts'
import { EMPTY_HASH } from '../../src/hash.ts'
import { OutboardSpool } from '../../src/store/outboard-spool.ts'
import { randomData } from '../helpers/data.ts'

const RUNS = 700

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'spool-'))
  vi.stubEnv('TMPDIR', folder)
})

afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(folder, { recursive: true })
})

async function contentOf(spool: OutboardSpool): Promise<Uint8Array> {
  // What lies above the runs is put between them from memory.
  const blob = { hash: EMPTY_HASH, size: RUNS * RUN_BYTES, top: [] }
  return Buffer.concat(await Array.fromAsync(spool.inOrder(blob)))
}

const places = {
  "the system's folder": () => OutboardSpool.inSystemFolder(),
  'a folder that is swept': () => new OutboardSpool(join(folder, 'spool.tmp'))
}

describe.each(Object.entries(places))('a spool in %s', (place, newSpool) => {
  it('gives back what did not fit into memory, as often as it is asked', async () => {
    const runBytes = (RUN_GROUPS - 1) * PAIR_BYTES
    const all = randomData(RUNS * runBytes)
    const spool = newSpool()
    try {
      let mostFiles = 0
      for (let run = 0; run < RUNS; run++) {
        spool.add({ run, pairs: all.subarray(run * runBytes, (run + 1) * runBytes) })
        await spool.relieve()
        mostFiles = Math.max(mostFiles, (await readdir(folder)).length)
      }
      // A process that is killed leaves what has a name.
      if (process.platform !== 'win32') expect(mostFiles).toBe(place === 'a folder that is swept' ? 1 : 0)
      for (let i = 0; i < 2; i++) expect(Buffer.compare(await contentOf(spool), all)).toBe(0)
    } finally {
      await spool.close()
    }
    expect(await readdir(folder)).toEqual([])
  })

  it('makes no file for what fits', async () => {
    const spool = newSpool()
    spool.add({ run: 0, pairs: new Uint8Array(PAIR_BYTES) })
    await spool.relieve()
    expect(await readdir(folder)).toEqual([])
    expect((await contentOf(spool)).length).toBe(PAIR_BYTES)
    await spool.close()
  })
})
