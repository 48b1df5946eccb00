/** Several processes on one database, and processes that are killed. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { Metadata } from '../../../../src/store/object/metadata/index.ts'
import { Schema } from '../../../../src/store/object/metadata/schema.ts'
import { hashOf, testMetadata, testPath } from './support.ts'

const CHILD = new URL('writing-child.ts', import.meta.url).pathname
const FOR_EVER = 100_000

interface Writing {
  readonly child: ChildProcess
  /** Numbers of the blobs that it says it has written. */
  readonly written: () => number[]
  /** Its exit code, when all that it has said is here. */
  readonly ended: Promise<number | null>
  /** When it has said something. */
  readonly started: Promise<unknown>
}

function start(path: string, first: number, count: number): Writing {
  const child = spawn(process.execPath, [CHILD, path, String(first), String(count)], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  let text = ''
  child.stdout!.setEncoding('utf8').on('data', (piece: string) => {
    text += piece
  })
  return {
    child,
    written: () => text.split('\n').slice(0, -1).map(Number),
    ended: once(child, 'close').then(([code]) => code as number | null),
    started: Promise.race([once(child.stdout!, 'data'), once(child, 'close')])
  }
}

/** Each transaction is there in full or not at all; none that was said to be written is missing. */
function check(path: string, written: readonly number[]): void {
  {
    using schema = Schema.open(path)
    schema.check()
  }
  using metadata = Metadata.open(path)
  for (const i of written) {
    expect(metadata.find(hashOf(i))).toMatchObject({ state: 'partial', size: i })
    expect(metadata.fragments(hashOf(i))).toEqual([`fragment of ${i}`])
    expect(metadata.getTag(`tag ${i}`)?.hash).toEqual(hashOf(i))
  }
  const { partial } = metadata.countBlobs()
  expect(metadata.countTags()).toBe(partial)
  expect(metadata.fact('count')).toBe(String(partial))
  for (const { hash } of metadata.listBlobs({ limit: FOR_EVER }))
    expect(metadata.fragments(hash)).toHaveLength(1)
}

describe('several processes', () => {
  it('make the database and write to it at the same time, and nothing of it is lost', async () => {
    const path = testPath()
    const writers = [0, 1, 2, 3].map(i => start(path, i * 1000, 100))
    expect(await Promise.all(writers.map(({ ended }) => ended))).toEqual([0, 0, 0, 0])
    const written = writers.flatMap(writer => writer.written())
    expect(written).toHaveLength(400)
    check(path, written)
  })

  it('see what the others write', async () => {
    const path = testPath()
    const metadata = testMetadata(path)
    const before = metadata.changes()
    const writer = start(path, 5, 1)
    expect(await writer.ended).toBe(0)
    expect(metadata.changes()).not.toBe(before)
    expect(metadata.find(hashOf(5))?.state).toBe('partial')
    expect(metadata.listTags({ limit: 10 })).toHaveLength(1)
  })
})

describe('a process that is killed', () => {
  it('loses nothing that it had written, and leaves nothing half', { timeout: 300_000 }, async () => {
    const path = testPath()
    const written: number[] = []
    for (let round = 0; round < 10; round++) {
      const writer = start(path, round * FOR_EVER, FOR_EVER)
      await writer.started
      await setTimeout(((round * 7919) % 10) * 15)
      expect(writer.child.exitCode, 'the child ended by itself').toBe(null)
      writer.child.kill('SIGKILL')
      await writer.ended
      expect(writer.written().length).toBeGreaterThan(0)
      written.push(...writer.written())
      check(path, written)
    }
  })

  it('does not disturb another one', async () => {
    const path = testPath()
    const killed = start(path, 0, FOR_EVER)
    const other = start(path, FOR_EVER, 200)
    await Promise.all([killed.started, other.started])
    killed.child.kill('SIGKILL')
    await killed.ended
    expect(await other.ended).toBe(0)
    expect(other.written()).toHaveLength(200)
    check(path, [...killed.written(), ...other.written()])
  })
})
