/** What a killed process has written, but not waited for until it was on disk. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeClaim, encodeClaim } from '../../../src/store/legacy-fs/claim.ts'
import { LegacyFsStore } from '../../../src/store/legacy-fs/index.ts'
import { Layout } from '../../../src/store/legacy-fs/layout.ts'
import { bootId } from '../../../src/store/processes.ts'
import { groups, readClaimed, receive, sampleBlob, startReceiving, testFolder, testStore } from './support.ts'

const MIB = 1024 * 1024
const CHILD = new URL('writing-child.ts', import.meta.url).pathname
const BLOB = sampleBlob(10 * MIB)

/** Has a process write without saving, and kills it. */
async function writeAndBeKilled(folder: string): Promise<void> {
  const child = spawn(process.execPath, [CHILD, folder, `${BLOB.size}`, '1', '0', '320', 'unsaved'], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
  const [line] = await once(child.stdout, 'data')
  expect(String(line)).toBe('written\n')
  await using store = await LegacyFsStore.open(folder)
  const chunksNoted = async () => {
    const status = await store.status(BLOB.hash)
    return status.state === 'partial' ? Number(status.ranges.boundaries.at(-1)) : 0
  }
  // That it was written does not mean that it has been noted.
  await expect.poll(chunksNoted).toBeGreaterThanOrEqual(4 * 1024)
  child.kill('SIGKILL')
  await once(child, 'close')
}

// Other systems do not tell when they were started: there is no such file then.
describe.runIf(bootId() !== undefined)('what was written, but is not known to be on disk', () => {
  it('is there again after a kill, but for the last MiB', async () => {
    const folder = await testFolder()
    await writeAndBeKilled(folder)
    const layout = new Layout(folder)
    const claim = decodeClaim(BLOB.hash, await readFile(layout.ranges(BLOB.hash)))
    expect(claim?.ranges.isEmpty).toBe(true)
    const store = await testStore(folder)
    const status = await store.status(BLOB.hash)
    expect(status.state).toBe('partial')
    expect(await readClaimed(store, { hash: BLOB.hash, status: status as never })).toBeGreaterThanOrEqual(
      4 * MIB
    )
    // It is gone on with, and whoever does so puts all of it on disk.
    await receive(store, BLOB, groups(256, 321))
    const saved = decodeClaim(BLOB.hash, await readFile(layout.ranges(BLOB.hash)))
    expect(saved?.ranges.containsAll(groups(0, 321))).toBe(true)
    await receive(store, BLOB, groups(256, 640))
    expect((await store.status(BLOB.hash)).state).toBe('complete')
    await expect(readFile(layout.note(BLOB.hash))).rejects.toThrow('ENOENT')
  })

  it('is not believed when the machine was started anew since', async () => {
    const folder = await testFolder()
    await writeAndBeKilled(folder)
    const path = new Layout(folder).note(BLOB.hash)
    const note = await readFile(path)
    note[0]! ^= 1
    await writeFile(path, note)
    const store = await testStore(folder)
    expect((await store.status(BLOB.hash)).state).toBe('absent')
    expect(await store.open(BLOB.hash)).toBeUndefined()
  })

  it('makes a blob complete when it is all there, after it was put on disk', async () => {
    const folder = await testFolder()
    const before = await LegacyFsStore.open(folder)
    await startReceiving(before, BLOB, groups(0, 640))
    const layout = new Layout(folder)
    const claim = decodeClaim(BLOB.hash, await readFile(layout.ranges(BLOB.hash)))!
    const boot = (await readFile(layout.note(BLOB.hash))).subarray(0, 32)
    const whole = encodeClaim(BLOB.hash, { ...claim, ranges: groups(0, 640) })
    await writeFile(layout.note(BLOB.hash), Buffer.concat([boot, whole]))
    // As another process sees it when this one is killed now.
    const other = await testStore(folder)
    expect((await other.status(BLOB.hash)).state).toBe('complete')
    await readClaimed(other, { hash: BLOB.hash, status: { state: 'complete', size: BLOB.size } })
    await before.close()
    expect((await other.status(BLOB.hash)).state).toBe('complete')
  })

  it('says nothing when it is torn, or anything else', async () => {
    const folder = await testFolder()
    await writeAndBeKilled(folder)
    const path = new Layout(folder).note(BLOB.hash)
    const note = await readFile(path)
    const store = await testStore(folder)
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.uint8Array({ maxLength: 400 }),
          fc.nat(note.length - 1).map(length => note.subarray(0, length)),
          fc.tuple(fc.nat(note.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, flip]) => {
            const other = Uint8Array.from(note)
            other[at]! ^= flip
            return other
          })
        ),
        async bytes => {
          await writeFile(path, bytes)
          expect((await store.status(BLOB.hash)).state).toBe('absent')
        }
      ),
      { numRuns: 60 }
    )
  })

  it('goes with the blob', async () => {
    const folder = await testFolder()
    await writeAndBeKilled(folder)
    const store = await testStore(folder)
    expect(await store.delete(BLOB.hash)).toBe(true)
    await expect(readFile(join(folder, 'data', `${BLOB.hash}.written`))).rejects.toThrow('ENOENT')
    expect((await store.status(BLOB.hash)).state).toBe('absent')
  })
})
