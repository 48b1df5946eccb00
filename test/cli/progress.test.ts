import { PassThrough, Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { formatBytes, formatSeconds, plural, printable, quoted, unwrapped } from '../../src/cli/format.ts'
import { type LogLevel, Output } from '../../src/cli/output.ts'
import { type Amount, ProgressView, percentOf } from '../../src/cli/progress.ts'
import { Rate } from '../../src/cli/rate.ts'
import { TransferView } from '../../src/cli/transfer.ts'
import { EMPTY_HASH } from '../../src/hash.ts'

const MIB = 1024 * 1024

interface Screen {
  readonly output: Output
  stdout(): string
  stderr(): string
}

/** What a user sees. */
function screen({
  isJson = false,
  isTTY = false,
  logLevel = 'normal' as LogLevel,
  columns = 100
} = {}): Screen {
  const out = new PassThrough({ encoding: 'utf8' })
  const err = new PassThrough({ encoding: 'utf8' })
  const stdout = Object.assign(out, { isTTY, columns }) as unknown as NodeJS.WriteStream
  const stderr = Object.assign(err, { isTTY, columns }) as unknown as NodeJS.WriteStream
  return {
    output: new Output({ isJson, logLevel, stdout, stderr }),
    stdout: () => out.read() ?? '',
    stderr: () => err.read() ?? ''
  }
}

/** Shows amounts, a second apart. */
function show(
  amounts: readonly Amount[],
  options: Parameters<typeof screen>[0] = {},
  minBytes?: number
): string[] {
  const { output, stderr } = screen(options)
  let now = 0
  const view = new ProgressView(output, 'receiving', { now: () => now, minBytes })
  for (const amount of amounts) {
    view.update(amount)
    now += 1000
  }
  return stderr().split('\n').slice(0, -1)
}

describe('progress without a terminal', () => {
  const steps = (count: number): Amount[] =>
    Array.from({ length: count + 1 }, (_, i) => ({ bytes: (i / count) * 100 * MIB, total: 100 * MIB }))

  it.each([10, 100, 1000])('is one line for every 10 %, in %i steps', count => {
    const lines = show(steps(count))
    expect(lines.map(line => Number(/(\d+) %/.exec(line)?.[1]))).toEqual([
      10, 20, 30, 40, 50, 60, 70, 80, 90, 100
    ])
  })

  it('is not a line twice, whatever is reported', () => {
    expect(show([...steps(3), ...steps(3)])).toHaveLength(3)
  })

  it('has the rate, and the time left', () => {
    const [line] = show([
      { bytes: 0, total: 100 * MIB },
      { bytes: 10 * MIB, total: 100 * MIB }
    ])
    expect(line).toBe('receiving  10 %  10.0 MiB of 100.0 MiB  10.0 MiB/s  9 s left')
  })

  it('has the rate of what came in, not of what was there', () => {
    const had = 50 * MIB
    const lines = show([
      { bytes: had, had, total: 100 * MIB },
      { bytes: 60 * MIB, had, total: 100 * MIB }
    ])
    expect(lines.at(-1)).toContain('60 %  60.0 MiB of 100.0 MiB  10.0 MiB/s  4 s left')
  })

  it('is told by blobs when the bytes in all are not known, and by bytes when nothing is', () => {
    const [byBlobs] = show([{ bytes: 3 * MIB, blobsDone: 3, blobs: 10 }])
    expect(byBlobs).toBe('receiving  30 %  3.0 MiB  3 of 10 blobs')
    expect(show(Array.from({ length: 25 }, (_, i) => ({ bytes: i * 10 * MIB })))).toHaveLength(2)
  })

  it('is told by a share when only that is known, with what else there is to say', () => {
    const [first] = show([{ bytes: 3 * MIB, share: 0.3, note: '12 blobs' }])
    expect(first).toBe('receiving  30 %  3.0 MiB  12 blobs')
  })

  it('is not shown to scripts, to those who want quiet, nor for what takes no time', () => {
    expect(show(steps(10), { isJson: true })).toEqual([])
    expect(show(steps(10), { logLevel: 'quiet' })).toEqual([])
    expect(show(steps(10), {}, 101 * MIB)).toEqual([])
    expect(show(steps(10), {}, 100 * MIB)).toHaveLength(10)
  })
})

describe('progress on a terminal', () => {
  it('is a bar that is drawn over itself, fits the line, and is taken away', () => {
    const { output, stderr } = screen({ isTTY: true, columns: 60 })
    let now = 0
    const view = new ProgressView(output, 'receiving', { now: () => now })
    view.update({ bytes: 0, total: 100 })
    now += 1000
    view.update({ bytes: 50, total: 100 })
    view.end()
    const [, first, second, last] = stderr().split('\r\u001b[2K')
    expect(first).toMatch(/^receiving {2}\[\.{24}\] 0 %/)
    expect(second).toMatch(/^receiving {2}\[#{12}\.{12}\] 50 % {2}50 B of 100 B/)
    expect(second?.length).toBeLessThan(60)
    expect(last).toBe('')
  })

  it('is not drawn more often than anybody can see', () => {
    const { output, stderr } = screen({ isTTY: true })
    const view = new ProgressView(output, 'receiving', { now: () => 0 })
    for (let i = 0; i < 1000; i++) view.update({ bytes: i, total: 1000 })
    expect(stderr().split('\r')).toHaveLength(2)
  })
})

describe('a share', () => {
  it('is whole percents, never above 100, and never NaN', () => {
    expect(percentOf({ bytes: 0, total: 0 })).toBe(100)
    expect(percentOf({ bytes: 999, total: 1000 })).toBe(99)
    expect(percentOf({ bytes: 2000, total: 1000 })).toBe(100)
    expect(percentOf({ bytes: 5, share: 0.999 })).toBe(99)
    expect(percentOf({ bytes: 5 })).toBeUndefined()
    expect(percentOf({ bytes: 5, blobs: 0, blobsDone: 0 })).toBeUndefined()
  })
})

describe('a rate', () => {
  it('is that of the last seconds', () => {
    let now = 0
    const rate = new Rate(() => now)
    expect(rate.bytesPerSecond).toBeUndefined()
    for (; now <= 60_000; now += 1000) rate.add(now < 30_000 ? 0 : (now - 30_000) * 7)
    expect(rate.bytesPerSecond).toBe(7000)
    expect(rate.secondsFor(14_000)).toBe(2)
  })

  it('is nothing when nothing moves', () => {
    let now = 0
    const rate = new Rate(() => now)
    for (; now <= 20_000; now += 1000) rate.add(5)
    expect(rate.bytesPerSecond).toBe(0)
    expect(rate.secondsFor(1)).toBeUndefined()
  })
})

describe('a fetch', () => {
  const at = (received: number) => ({
    hash: EMPTY_HASH,
    received,
    had: 73,
    total: 100,
    blobsDone: 0,
    blobs: 1,
    providers: 1
  })

  it('that goes on says what was there', () => {
    const { output, stderr } = screen()
    new TransferView(output, 'receiving').update(at(0))
    expect(stderr()).toMatch(/^had 73 % of af1349b9f5 \(73 B of 100 B\), fetching the rest\n/)
  })

  it('that goes on says so by blobs, where nobody knows all bytes, and says it once', () => {
    const { output, stdout, stderr } = screen({ isJson: true })
    const view = new TransferView(output, 'receiving')
    const unknown = { hash: EMPTY_HASH, had: 900, total: undefined, blobsDone: 1, providers: 1 }
    view.update({ ...unknown, received: 0, blobs: undefined })
    view.update({ ...unknown, received: 0, blobsDone: 15_000, blobs: 20_000 })
    view.update({ ...unknown, received: 10, blobsDone: 15_001, blobs: 20_000 })
    expect(stderr()).toBe('had 75 % of af1349b9f5 (15000 of 20000 blobs), fetching the rest\n')
    const events = Array.from(stdout().trim().split('\n'), line => JSON.parse(line))
    expect(events.filter(({ event }) => event === 'resumed')).toEqual([
      {
        event: 'resumed',
        hash: EMPTY_HASH.toString(),
        had: 900,
        total: null,
        percent: 75,
        blobsDone: 15_000,
        blobs: 20_000
      }
    ])
  })

  it.each([
    ['nothing was there', { had: 0, received: 0 }],
    ['all was there', { had: 100, received: 0 }]
  ])('says nothing of that when %s', (_, counted) => {
    const { output, stdout, stderr } = screen({ isJson: true })
    new TransferView(output, 'receiving').update({ ...at(0), ...counted })
    expect(stdout() + stderr()).not.toMatch(/had \d|resumed/)
  })

  it('tells scripts of the first and the last progress, and not of each', () => {
    const { output, stdout, stderr } = screen({ isJson: true })
    const view = new TransferView(output, 'receiving')
    for (let i = 0; i <= 27; i++) view.update(at(i))
    view.done({ hash: EMPTY_HASH, format: 'raw', size: 100, received: 27, had: 73, blobs: 1 }, '/a')
    const events = stdout()
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(events[0]).toMatchObject({ event: 'resumed', had: 73, total: 100, percent: 73 })
    expect(events[1]).toMatchObject({ event: 'progress', received: 0, had: 73, total: 100, percent: 73 })
    expect(events.at(-2)).toMatchObject({ event: 'progress', received: 27 })
    expect(events.at(-1)).toMatchObject({ event: 'done', size: 100, received: 27, had: 73, path: '/a' })
    expect(events.length).toBeLessThan(20)
    expect(stderr()).not.toContain('{')
  })
})

describe('results that are gathered', () => {
  /** What is written to one terminal, piece by piece. */
  function terminal(isJson: boolean): { output: Output; pieces: string[] } {
    const pieces: string[] = []
    const write = (piece: string, _: unknown, done: () => void): void => {
      pieces.push(piece)
      done()
    }
    const stream = new Writable({ decodeStrings: false, write }) as unknown as NodeJS.WriteStream
    return { output: new Output({ isJson, logLevel: 'normal', stdout: stream, stderr: stream }), pieces }
  }

  it('are written together, what is said besides in its place', () => {
    const { output, pieces } = terminal(false)
    {
      using _ = output.gatherResults()
      output.result({ event: 'a' }, 'one')
      output.result({ event: 'a' }, 'two')
      output.note('between')
      output.result({ event: 'a' }, 'three')
      expect(pieces).toEqual(['one\ntwo\n', 'between\n'])
    }
    output.result({ event: 'a' }, 'four')
    expect(pieces.slice(2)).toEqual(['three\n', 'four\n'])
  })

  it('do not pile up', () => {
    const { output, pieces } = terminal(false)
    using _ = output.gatherResults()
    for (let i = 0; i < 10_000; i++) output.result({ event: 'a' }, 'x'.repeat(99))
    expect(pieces.length).toBeGreaterThan(10)
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(70_000)
    expect(pieces.join('').length).toBeGreaterThan(900_000)
  })

  it('do not hold back an error, which may be the last that is said', () => {
    const { output, pieces } = terminal(true)
    using _ = output.gatherResults()
    output.result({ event: 'a' })
    output.error('ERR_X', 'it failed')
    expect(pieces.join('').split('\n')).toEqual([
      '{"event":"a"}',
      '{"event":"error","code":"ERR_X","message":"it failed"}',
      ''
    ])
  })
})

describe('texts', () => {
  it('of bytes and times are what people read', () => {
    expect([0, 1, 1023, 1024, 1536, 1048575, 1048576, 5e9, 2 ** 53].map(formatBytes)).toEqual([
      '0 B',
      '1 B',
      '1023 B',
      '1.0 KiB',
      '1.5 KiB',
      '1.0 MiB',
      '1.0 MiB',
      '4.7 GiB',
      '8.0 PiB'
    ])
    expect([0, 0.2, 59, 60, 3599, 3600, 7500].map(formatSeconds)).toEqual([
      '0 s',
      '1 s',
      '59 s',
      '1 min 0 s',
      '59 min 59 s',
      '1 h 0 min',
      '2 h 5 min'
    ])
    expect([plural(1, 'file'), plural(2, 'file')]).toEqual(['1 file', '2 files'])
  })

  it('of strangers can do nothing to a terminal', () => {
    expect(printable('a\u001b[2Jb\u0007c\u202egnp.exe\r')).toBe('a?[2Jb?c?gnp.exe?')
    expect(printable('ünï 日本 👩‍👩‍👧\n\ttab')).toBe('ünï 日本 👩‍👩‍👧\n\ttab')
  })

  it('for a shell stay one word', () => {
    expect(quoted('/a/b-c.txt')).toBe('/a/b-c.txt')
    expect(quoted("it's $HOME")).toBe("'it'\\''s $HOME'")
    expect(quoted('')).toBe("''")
  })

  it('of paragraphs are made one line each', () => {
    expect(unwrapped('a\nb\n\nc\nd')).toBe('a b\n\nc d')
  })
})
