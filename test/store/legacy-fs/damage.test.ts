/** Blobs with wrong bytes: what is right of them stays, at whatever moment the process is killed. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, link, readdir, readFile, rename, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import type { LegacyFsStore } from '../../../src/store/legacy-fs/index.ts'
import { wholeRange } from '../../../src/store/status.ts'
import { flipByte } from '../../helpers/files.ts'
import { blobOfRound, ROUND_GROUP } from './damage-rounds.ts'
import {
  groups,
  readClaimed,
  receive,
  type SampleBlob,
  sampleBlob,
  startReceiving,
  testFolder,
  testStore
} from './support.ts'

const GROUP = 16_384
const blob = sampleBlob(20 * GROUP + 5)
const right = wholeRange(blob.size).subtract(groups(3).union(groups(7, 9)))
const wrong = groups(3).union(groups(7, 9))

function file(folder: string, end: string, { hash }: SampleBlob = blob): string {
  return join(folder, 'data', `${hash}${end}`)
}

async function damage(folder: string, end = '.data'): Promise<void> {
  for (const group of [3, 7, 8]) await flipByte(file(folder, end), group * GROUP + 11)
}

/** A store with the blob, complete and damaged. */
async function damagedStore(): Promise<{ folder: string; store: LegacyFsStore }> {
  const folder = await testFolder()
  const store = await testStore(folder)
  await store.addBytes(blob.data)
  await damage(folder)
  return { folder, store }
}

async function ends(folder: string): Promise<string[]> {
  const names = await readdir(join(folder, 'data'))
  return names.map(name => name.slice(64)).sort()
}

async function expectPartial(store: LegacyFsStore, ranges = right, size = blob.size): Promise<void> {
  const status = await store.status(blob.hash)
  expect(status).toMatchObject({ state: 'partial', size, ranges })
  await readClaimed(store, { hash: blob.hash, status: status as never })
}

async function expectComplete(folder: string, store: LegacyFsStore): Promise<void> {
  expect(await store.status(blob.hash)).toEqual({ state: 'complete', size: blob.size })
  expect(await ends(folder)).toEqual(['.data', '.obao4'])
  expect(Buffer.compare(await readFile(file(folder, '.data')), blob.data)).toBe(0)
  await readClaimed(store, { hash: blob.hash, status: { state: 'complete', size: blob.size } })
}

describe('a complete blob with wrong bytes', () => {
  it('becomes partial, says so, and is repaired by what is missing', async () => {
    const { folder, store } = await damagedStore()
    await store.reportDamage(blob.hash)
    await expectPartial(store)
    expect(await ends(folder)).toEqual(['.data.part', '.obao4.part', '.ranges'])
    expect(store.notices).toEqual([
      `3 of the 21 chunk groups of blob ${blob.hash} are wrong: they are no longer counted as held; get the blob again to repair them`
    ])
    await receive(store, blob, wrong)
    await expectComplete(folder, store)
  })

  it('keeps what its outboard proves when that is damaged, too', async () => {
    const { folder, store } = await damagedStore()
    // In pre-order: the nodes above groups 0..16, 0..8 and 0..4 follow the root, then two below the last, then this one.
    const above4To8 = 6
    await flipByte(file(folder, '.obao4'), above4To8 * 64)
    await store.reportDamage(blob.hash)
    const proven = right.subtract(groups(4, 8))
    await expectPartial(store, proven)
    await receive(store, blob, wholeRange(blob.size).subtract(proven))
    await expectComplete(folder, store)
  })

  it.each([
    [
      'the root of its outboard is wrong',
      async (folder: string) => await flipByte(file(folder, '.obao4'), 0)
    ],
    ['its outboard is gone', async (folder: string) => await rm(file(folder, '.obao4'))]
  ])('is set aside as a whole when %s, which proves nothing', async (_, spoil) => {
    const { folder, store } = await damagedStore()
    await spoil(folder)
    expect(await store.reportDamage(blob.hash)).toEqual({ state: 'absent' })
    expect(await ends(folder)).toEqual(['.data.damaged'])
    await receive(store, blob, ChunkRanges.all)
    await readClaimed(store, { hash: blob.hash, status: { state: 'complete', size: blob.size } })
  })

  it('is not written to when its file has another name outside of the store', async () => {
    const { folder, store } = await damagedStore()
    await link(file(folder, '.data'), join(folder, 'theirs'))
    const before = await readFile(join(folder, 'theirs'))
    expect(await store.reportDamage(blob.hash)).toEqual({ state: 'absent' })
    await receive(store, blob, ChunkRanges.all)
    expect(Buffer.compare(await readFile(join(folder, 'theirs')), before)).toBe(0)
  })

  it('that is arriving anew already goes on arriving', async () => {
    const { folder } = await damagedStore()
    await truncate(file(folder, '.data'), blob.size - 1)
    const reopened = await testStore(folder)
    // Its end is wrong: so it counts as absent, and somebody fetches it.
    expect(await reopened.status(blob.hash)).toEqual({ state: 'absent' })
    const writer = await startReceiving(reopened, blob, groups(0, 10))
    expect(await reopened.reportDamage(blob.hash)).toMatchObject({ state: 'partial', ranges: groups(0, 10) })
    await writer.close()
    await receive(reopened, blob, groups(10, 21))
    expect(await reopened.status(blob.hash)).toEqual({ state: 'complete', size: blob.size })
  })

  for (const [what, size] of [
    ['was cut off', blob.size - 3],
    ['has grown', blob.size + 1000]
  ] as const) {
    it(`that ${what} within its last group is repaired by that group and what else is wrong`, async () => {
      const { folder, store } = await damagedStore()
      await store.close()
      await truncate(file(folder, '.data'), size)
      const reopened = await testStore(folder)
      await reopened.reportDamage(blob.hash)
      const held = right.subtract(groups(20))
      await expectPartial(reopened, held, size)
      await receive(reopened, blob, wrong.union(groups(20)))
      await expectComplete(folder, reopened)
    })
  }
})

describe('a partial blob with wrong bytes', () => {
  it('claims the others, also after a restart', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    await receive(store, blob, groups(2, 15))
    await damage(folder, '.data.part')
    await store.reportDamage(blob.hash)
    await expectPartial(store, groups(2, 15).subtract(wrong))
    await store.close()
    const reopened = await testStore(folder)
    await expectPartial(reopened, groups(2, 15).subtract(wrong))
    await receive(reopened, blob, ChunkRanges.all)
    await expectComplete(folder, reopened)
  })

  it('goes on arriving for its writers', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    const first = await startReceiving(store, blob, groups(2, 15))
    await damage(folder, '.data.part')
    await store.reportDamage(blob.hash)
    await expectPartial(store, groups(2, 15).subtract(wrong))
    const second = await startReceiving(store, blob, groups(0, 4))
    await Promise.all([first.close(), second.close()])
    const held = groups(0, 15).subtract(groups(7, 9))
    await expectPartial(store, held)
    await store.close()
    await expectPartial(await testStore(folder), held)
  })

  it('is gone when nothing of it is right', async () => {
    const folder = await testFolder()
    const store = await testStore(folder)
    await receive(store, blob, groups(7, 9))
    await damage(folder, '.data.part').catch(() => undefined)
    expect(await store.reportDamage(blob.hash)).toEqual({ state: 'absent' })
    expect(await ends(folder)).toEqual([])
  })
})

describe('making a blob partial, interrupted', () => {
  /** What is on disk when the process is killed after each step. */
  const STEPS = {
    'before its claim': async (folder: string) => {
      await undoRename(folder)
      await rm(file(folder, '.ranges'))
    },
    'before the rename': undoRename,
    'after the rename': async (folder: string) => {
      await copyFile(file(folder, '.obao4.part'), file(folder, '.obao4'))
    },
    'at its end': async () => undefined
  }

  async function undoRename(folder: string): Promise<void> {
    await copyFile(file(folder, '.obao4.part'), file(folder, '.obao4'))
    await rename(file(folder, '.data.part'), file(folder, '.data'))
  }

  async function interrupted(step: keyof typeof STEPS): Promise<{ folder: string; store: LegacyFsStore }> {
    const { folder, store } = await damagedStore()
    await store.reportDamage(blob.hash)
    await store.close()
    await STEPS[step](folder)
    return { folder, store: await testStore(folder) }
  }

  for (const step of Object.keys(STEPS) as (keyof typeof STEPS)[]) {
    it(`${step}: is partial, or found damaged once more, and repaired`, async () => {
      const { folder, store } = await interrupted(step)
      const isDone = step === 'after the rename' || step === 'at its end'
      expect((await store.status(blob.hash)).state).toBe(isDone ? 'partial' : 'complete')
      await store.reportDamage(blob.hash)
      await expectPartial(store)
      await receive(store, blob, wrong)
      await expectComplete(folder, store)
    })

    it(`${step}: is replaced by what is added, or received, or deleted`, async () => {
      const added = await interrupted(step)
      await expect(readClaimed(added.store, { hash: blob.hash, status: whole })).rejects.toThrow()
      await added.store.reportDamage(blob.hash)
      await added.store.addBytes(blob.data)
      await expectComplete(added.folder, added.store)
      const deleted = await interrupted(step)
      expect(await deleted.store.delete(blob.hash)).toBe(true)
      expect(await deleted.store.status(blob.hash)).toEqual({ state: 'absent' })
      await receive(deleted.store, blob, ChunkRanges.all)
      await expectComplete(deleted.folder, deleted.store)
    })
  }
  const whole = { state: 'complete', size: blob.size } as const
})

const CHILD = new URL('damage-child.ts', import.meta.url).pathname

describe('a store whose process is killed while it finds damage', () => {
  it('has never again what was found wrong, and claims nothing else', { timeout: 300_000 }, async () => {
    const folder = await testFolder()
    let found = 0
    for (let life = 0; life < 10; life++) {
      const child = spawn(process.execPath, [CHILD, folder, String(life)], {
        stdio: ['ignore', 'pipe', 'inherit']
      })
      const told = gather(child)
      // At any moment of any round, but not before one is over.
      while (roundsOf(told()) < 1 + (life % 3)) await once(child.stdout!, 'data')
      await setTimeout((life * 7919) % 60)
      expect(child.exitCode).toBe(null)
      child.kill('SIGKILL')
      await once(child, 'close')
      found += await check(folder, life, roundsOf(told()))
    }
    expect(found).toBeGreaterThanOrEqual(10)
  })

  /** Of the last whole line. */
  function roundsOf(text: string): number {
    return Number(text.split('\n').at(-2) ?? 0)
  }

  function gather(child: ChildProcess): () => string {
    let text = ''
    child.stdout!.setEncoding('utf8').on('data', piece => {
      text += piece
    })
    return () => text
  }

  /** @param rounds of which the child has told that they are over */
  async function check(folder: string, life: number, rounds: number): Promise<number> {
    await using store = await testStore(folder)
    for (let round = 0; round < rounds; round++) {
      const { hash, size } = blobOfRound(life, round)
      const ranges = wholeRange(size).subtract(groups(ROUND_GROUP))
      expect(await store.status(hash)).toMatchObject({ state: 'partial', ranges })
    }
    for await (const info of store.list()) {
      // What was not yet found may be read wrong, once.
      if (info.status.state === 'partial') await readClaimed(store, info)
      else {
        const isRight = await readClaimed(store, info).then(
          () => true,
          () => false
        )
        if (!isRight) expect(await store.reportDamage(info.hash)).toMatchObject({ state: 'partial' })
      }
    }
    expect(await readdir(join(folder, 'temp'))).toEqual([])
    return rounds
  }
})
