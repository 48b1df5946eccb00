/** What the store makes of files that are not as it left them. */
import { readdir, readFile, rename, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import { encodeClaim } from '../../../src/store/legacy-fs/claim.ts'
import type { LegacyFsStore } from '../../../src/store/legacy-fs/index.ts'
import { wholeRange } from '../../../src/store/status.ts'
import {
  groups,
  readClaimed,
  receive,
  type SampleBlob,
  sampleBlob,
  testFolder,
  testStore
} from './support.ts'

const GROUP = 16_384

async function folderWith(fill: (store: LegacyFsStore) => Promise<void>): Promise<string> {
  const folder = await testFolder()
  const store = await testStore(folder)
  await fill(store)
  await store.close()
  return folder
}

function file(folder: string, blob: SampleBlob, end: string): string {
  return join(folder, 'data', `${blob.hash}${end}`)
}

async function inode(path: string): Promise<bigint> {
  return (await stat(path, { bigint: true })).ino
}

/** Undoes a blob's completion, as if the process had been killed on the way. */
async function undoCompletion(folder: string, blob: SampleBlob, isOutboardRenamed: boolean): Promise<void> {
  const outboard = file(folder, blob, isOutboardRenamed ? '.obao4' : '.obao4.part')
  await rename(file(folder, blob, '.data'), file(folder, blob, '.data.part'))
  if (!isOutboardRenamed) await rename(file(folder, blob, '.obao4'), outboard)
  const claim = {
    size: blob.size,
    identity: { data: await inode(file(folder, blob, '.data.part')), outboard: await inode(outboard) },
    lengths: { data: BigInt(blob.size), outboard: 64n },
    ranges: wholeRange(blob.size)
  }
  await writeFile(file(folder, blob, '.ranges'), encodeClaim(blob.hash, claim))
}

describe('a completion that was interrupted', () => {
  const blob = sampleBlob(100_000)
  for (const isOutboardRenamed of [false, true]) {
    for (const first of ['status', 'open', 'list', 'writer', 'add'] as const) {
      it(`${isOutboardRenamed ? 'between' : 'before'} its renames is finished by ${first}`, async () => {
        const folder = await folderWith(async store => {
          await store.addBytes(blob.data)
        })
        await undoCompletion(folder, blob, isOutboardRenamed)
        const store = await testStore(folder)
        if (first === 'status') await store.status(blob.hash)
        else if (first === 'open') await (await store.open(blob.hash))?.close()
        else if (first === 'list') await Array.fromAsync(store.list())
        else if (first === 'writer') await receive(store, blob, groups(0))
        else await store.addBytes(blob.data)
        expect(await store.status(blob.hash)).toEqual({ state: 'complete', size: blob.size })
        await readClaimed(store, { hash: blob.hash, status: { state: 'complete', size: blob.size } })
        expect((await readdir(join(folder, 'data'))).sort()).toEqual([
          `${blob.hash}.data`,
          `${blob.hash}.obao4`
        ])
      })
    }
  }
})

describe('a partial blob', () => {
  const blob = sampleBlob(20 * GROUP)
  const held = groups(2, 9)

  async function partialFolder(): Promise<string> {
    return await folderWith(store => receive(store, blob, held))
  }

  async function expectFreshStart(folder: string): Promise<void> {
    const store = await testStore(folder)
    expect(await store.status(blob.hash)).toEqual({ state: 'absent' })
    expect(await store.open(blob.hash)).toBe(undefined)
    expect(await Array.fromAsync(store.list())).toEqual([])
    await receive(store, blob, groups(12))
    const status = await store.status(blob.hash)
    expect(status).toMatchObject({ state: 'partial', ranges: groups(12) })
    await readClaimed(store, { hash: blob.hash, status: status as never })
    await receive(store, blob, ChunkRanges.all)
    await readClaimed(store, { hash: blob.hash, status: { state: 'complete', size: blob.size } })
  }

  it('with a claim that is cut off at any byte claims nothing', async () => {
    const folder = await partialFolder()
    const path = file(folder, blob, '.ranges')
    const whole = await readFile(path)
    const store = await testStore(folder)
    expect((await store.status(blob.hash)).state).toBe('partial')
    for (let length = 0; length < whole.length; length++) {
      await writeFile(path, whole.subarray(0, length))
      expect((await store.status(blob.hash)).state, `${length} bytes`).toBe('absent')
    }
    await store.close()
    await expectFreshStart(folder)
  })

  it('with a claim in which any byte is wrong claims nothing', async () => {
    const folder = await partialFolder()
    const path = file(folder, blob, '.ranges')
    const whole = await readFile(path)
    const store = await testStore(folder)
    for (let i = 0; i < whole.length; i++) {
      const torn = Uint8Array.from(whole)
      torn[i]! ^= 1 << (i % 8)
      await writeFile(path, torn)
      expect((await store.status(blob.hash)).state, `byte ${i}`).toBe('absent')
    }
    await store.close()
    await expectFreshStart(folder)
  })

  it('that was cut off claims nothing', async () => {
    for (const end of ['.data.part', '.obao4.part']) {
      for (const keep of [0, 0.5, 0.99]) {
        const folder = await partialFolder()
        const path = file(folder, blob, end)
        await truncate(path, Math.floor((await stat(path)).size * keep))
        await expectFreshStart(folder)
      }
    }
  })

  it('whose files were replaced, or lost, claims nothing', async () => {
    for (const end of ['.data.part', '.obao4.part', '.ranges']) {
      const replaced = await partialFolder()
      const content = await readFile(file(replaced, blob, end))
      await writeFile(join(replaced, 'copy'), content)
      if (end !== '.ranges') {
        await rename(join(replaced, 'copy'), file(replaced, blob, end))
        await expectFreshStart(replaced)
      }
      const lost = await partialFolder()
      await rm(file(lost, blob, end))
      await expectFreshStart(lost)
    }
  })

  it('is believed as long as nothing has happened', async () => {
    const folder = await partialFolder()
    const store = await testStore(folder)
    expect(await store.status(blob.hash)).toEqual({
      state: 'partial',
      size: blob.size,
      isSizeProven: false,
      ranges: held
    })
  })
})

describe('a complete blob', () => {
  for (const size of [5000, 100_000, 3_000_000]) {
    const blob = sampleBlob(size)
    const damages: Record<string, (path: string) => Promise<void>> = {
      'is cut off by one byte': path => truncate(path, size - 1),
      'is cut in half': path => truncate(path, size >> 1),
      'is empty': path => truncate(path, 0),
      'is one byte too long': path => writeFile(path, Buffer.alloc(1), { flag: 'a' }),
      'ends in zeros': async path => {
        await truncate(path, size - 1000)
        await truncate(path, size)
      },
      'is something else': path => writeFile(path, sampleBlob(size, 2).data)
    }
    for (const [what, damage] of Object.entries(damages)) {
      for (const repair of ['add', 'receive'] as const) {
        it(`of ${size} bytes that ${what} counts as absent until it is there again (${repair})`, async () => {
          const folder = await folderWith(async store => {
            await store.addBytes(blob.data)
          })
          await damage(file(folder, blob, '.data'))
          const store = await testStore(folder)
          expect(await store.status(blob.hash)).toEqual({ state: 'absent' })
          if (what !== 'is empty') {
            await expect(store.open(blob.hash)).rejects.toMatchObject({ code: 'ERR_BLOB_DAMAGED' })
            expect(store.notices).toHaveLength(1)
            expect(store.notices[0]).toContain(blob.hash.toString())
          }
          if (repair === 'add') await store.addBytes(blob.data)
          else await receive(store, blob, ChunkRanges.all)
          await readClaimed(store, { hash: blob.hash, status: { state: 'complete', size } })
          expect(await Array.fromAsync(store.list())).toHaveLength(1)
        })
      }
    }
  }

  it('whose outboard is wrong or lost gets a new one', async () => {
    const blob = sampleBlob(300_000)
    const folder = await folderWith(async store => {
      await store.addBytes(blob.data)
    })
    const path = file(folder, blob, '.obao4')
    const right = await readFile(path)
    for (const damage of [
      () => rm(path),
      () => truncate(path, 65),
      () => truncate(path, 0),
      () => writeFile(path, 'more', { flag: 'a' }),
      () => writeFile(path, Buffer.alloc(right.length))
    ]) {
      await damage()
      const store = await testStore(folder)
      await readClaimed(store, { hash: blob.hash, status: { state: 'complete', size: blob.size } })
      expect(await readFile(path)).toEqual(right)
      await store.close()
    }
  })

  it('with a wrong byte in the middle is never exported, and counts as partial from then on', async () => {
    const blob = sampleBlob(2_000_000)
    const folder = await folderWith(async store => {
      await store.addBytes(blob.data)
    })
    const path = file(folder, blob, '.data')
    const wrong = Uint8Array.from(blob.data)
    wrong[1_000_000]! ^= 1
    await writeFile(path, wrong)
    const store = await testStore(folder)
    await expect(
      readClaimed(store, { hash: blob.hash, status: { state: 'complete', size: blob.size } })
    ).rejects.toMatchObject({ code: 'ERR_CORRUPT_SOURCE', chunk: 976 })
    for (const mode of ['copy', 'move'] as const) {
      const target = join(folder, `out ${mode}`)
      await expect(store.exportPath(blob.hash, target, { mode })).rejects.toThrow()
      await expect(stat(target)).rejects.toThrow()
    }
    expect(await store.status(blob.hash)).toMatchObject({
      state: 'partial',
      ranges: wholeRange(blob.size).subtract(groups(61))
    })
    await store.addBytes(blob.data)
    await readClaimed(store, { hash: blob.hash, status: { state: 'complete', size: blob.size } })
  })

  it.each(['copy', 'move', 'link', 'reflink'] as const)('is not exported, in mode %s either', async mode => {
    const blob = sampleBlob(2_000_000)
    const folder = await folderWith(async store => {
      await store.addBytes(blob.data)
    })
    const wrong = Uint8Array.from(blob.data)
    wrong[1_000_000]! ^= 1
    await writeFile(file(folder, blob, '.data'), wrong)
    const store = await testStore(folder)
    const target = await testFolder()
    await expect(store.exportPath(blob.hash, join(target, 'out'), { mode })).rejects.toMatchObject({
      code: 'ERR_CORRUPT_SOURCE'
    })
    expect(await readdir(target)).toEqual([])
    expect(await store.status(blob.hash)).toMatchObject({ state: 'partial' })
  })
})

describe('the temp folder', () => {
  it('is swept of what dead processes left, and of nothing else', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    const temp = join(folder, 'temp')
    let name = ''
    const adding = store.addStream(
      (async function* () {
        yield Buffer.alloc(3_000_000)
        await expect.poll(async () => await readdir(temp)).not.toEqual([])
        name = (await readdir(temp))[0]!
        const other = await testStore(folder)
        expect(await readdir(temp), 'a file in use was swept').toContain(name)
        await other.close()
      })()
    )
    await adding
    const [machine] = name.split('-')
    // The largest pid there can be on Linux is 2^22.
    const dead = `${machine}-4194305-0123456789abcdef.tmp`
    const elsewhere = '00000000-1-0123456789abcdef.tmp'
    const old = '00000000-2-0123456789abcdef.tmp'
    const foreign = 'somebody-elses.tmp'
    for (const path of [dead, elsewhere, old, foreign]) await writeFile(join(temp, path), 'x')
    const longAgo = Date.now() / 1000 - 25 * 60 * 60
    for (const path of [old, foreign]) await utimes(join(temp, path), longAgo, longAgo)
    await (await testStore(folder)).close()
    expect((await readdir(temp)).sort()).toEqual([elsewhere, foreign].sort())
  })
})

describe('garbage in any file', () => {
  it('never crashes the store, nor becomes a byte that is handed out', async () => {
    const whole = sampleBlob(300_000, 1)
    const small = sampleBlob(700, 2)
    const part = sampleBlob(20 * GROUP, 3)
    const names = await readdir(join(await populated(), 'data'))
    for (const name of [...names, 'tag']) {
      for (const garbage of [Buffer.alloc(0), Buffer.from('garbage'), Buffer.alloc(400_000, 7)]) {
        const folder = await populated()
        const tag = join(folder, 'tags', (await readdir(join(folder, 'tags')))[0]!)
        await writeFile(name === 'tag' ? tag : join(folder, 'data', name), garbage)
        const store = await testStore(folder)
        for await (const { hash } of store.list()) await store.status(hash)
        for (const blob of [whole, small, part]) {
          const status = await store.status(blob.hash)
          if (status.state === 'absent') continue
          // What is not right is not handed out: this throws, or all that it reads has been verified.
          await readClaimed(store, { hash: blob.hash, status }).catch(error => {
            expect(error.code).toBe('ERR_CORRUPT_SOURCE')
          })
        }
        const tags = await Array.fromAsync(store.tags.list())
        expect(tags.map(found => found.name)).toEqual(name === 'tag' ? [] : ['a tag'])
        if (name === 'tag') expect(store.notices).toEqual([expect.stringContaining(tag)])
        await store.close()
      }
    }

    async function populated(): Promise<string> {
      return await folderWith(async store => {
        await store.addBytes(whole.data)
        await store.addBytes(small.data)
        await receive(store, part, groups(2, 9))
        await store.tags.set('a tag', { hash: whole.hash, format: 'raw' })
      })
    }
  })
})
