/** The specification is for people who cannot look into the source: what it says with numbers is checked here. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { ChunkRanges } from '../../src/bao/ranges.ts'
import * as constants from '../../src/protocol/constants.ts'
import { encodeObserveItem, tryDecodeObserveItem } from '../../src/protocol/observe-item.ts'
import { Reader, Writer } from '../../src/protocol/postcard.ts'
import { readRanges, writeRanges } from '../../src/protocol/ranges-codec.ts'
import { decodeRangesSeq, encodeRangesSeq, RangesSeq } from '../../src/protocol/ranges-seq.ts'
import { encodeStatus, tryDecodeStatus } from '../../src/protocol/status.ts'
import { decodeTicket } from '../../src/protocol/ticket.ts'
import { encodeAll, memorySource } from '../helpers/bao.ts'
import { randomData } from '../helpers/data.ts'
import { fromHex, toHex } from './support.ts'

const README = readFileSync(new URL('../../protocol/README.md', import.meta.url), 'utf8')

/** Rows of the tables in one section, as cells without their back-ticks. */
function rows(heading: string): string[][] {
  const start = README.indexOf(`\n${heading}\n`)
  const section = README.slice(start + 1).split(/\n#+ /)[0]!
  const lines = section.split('\n').filter(line => line.startsWith('| ') && !line.startsWith('|-'))
  return lines.map(line =>
    line
      .split('|')
      .slice(1, -1)
      .map(cell => cell.trim().replaceAll('`', ''))
  )
}

/** Of each row, the bytes in its last cell, in hex. */
function bytesIn(heading: string): string[] {
  return rows(heading)
    .map(row => row.at(-1)!)
    .filter(cell => /^([0-9a-f]{2} ?)+$/.test(cell))
    .map(cell => cell.replaceAll(' ', ''))
}

test('the limits are those of the source', () => {
  const documented = rows('## Limits').filter(([name]) => name!.startsWith('MAX_'))
  expect(documented.length).toBeGreaterThan(10)
  const actual: Record<string, unknown> = constants
  for (const [name, value] of documented) {
    expect([name, actual[name!]]).toEqual([name, Number(value)])
  }
})

test('the names are those of the source', () => {
  expect(README).toContain(`| \`${constants.IROH_PROTOCOL}\` |`)
  expect(README).toContain(`| \`${constants.BLOBS_PROTOCOL}\` |`)
})

describe('examples', () => {
  test('of ranges', () => {
    const examples = bytesIn('## Ranges')
    expect(examples).toHaveLength(6)
    for (const [i, boundaries] of rows('## Ranges')
      .slice(1)
      .map(row => row[1]!)
      .entries()) {
      const list = boundaries === '' ? [] : boundaries.split(', ').map(parseBoundary)
      const ranges = readRanges(new Reader(fromHex(examples[i]!)))
      expect(ranges).toEqual(ChunkRanges.fromBoundaries(list))
      const writer = new Writer()
      writeRanges(writer, ranges)
      expect(toHex(writer.finish())).toBe(examples[i])
    }
  })

  test('of ranges sequences are canonical', () => {
    const examples = bytesIn('## Ranges sequence')
    expect(examples).toHaveLength(8)
    for (const hex of examples) {
      expect(toHex(encodeRangesSeq(decodeRangesSeq(fromHex(hex))))).toBe(hex)
    }
  })

  test('of items', () => {
    const examples = bytesIn('## Observe')
    expect(examples).toHaveLength(3)
    for (const hex of examples) {
      expect(toHex(encodeObserveItem(tryDecodeObserveItem(fromHex(hex))!.item))).toBe(hex)
    }
  })

  test('of statuses', () => {
    const [denied, busy] = bytesIn('### The status')
    expect(toHex(encodeStatus({ type: 'permission_denied', message: 'no' }))).toBe(denied)
    expect(toHex(encodeStatus({ type: 'busy', retryAfterMs: 1500 }))).toBe(busy)
    const table = rows('### The status').filter(([code]) => /^[0-9a-f]{2}$/.test(code!))
    expect(table).toHaveLength(6)
    for (const [code, name] of table) {
      const bytes = fromHex(name === 'busy' ? `${code}00000000` : code!)
      expect(tryDecodeStatus(bytes, true)?.status.type).toBe(name!.replace(' ', '_'))
    }
  })

  test('of a ticket', () => {
    const text = /^blobs[a-z2-7]+$/m.exec(README)![0]
    const ticket = decodeTicket(text)
    expect(README).toContain(`is blob \`${ticket.hash}\` at peer`)
    expect(README).toContain(`\`${ticket.peerId}\``)
    expect(ticket).toMatchObject({ format: 'raw', addrs: [] })
  })

  test('of an encoding', async () => {
    const sizes = rows('## Encoding').map(row => Number(row[2]))
    const total = sizes.at(-1)!
    const parts = sizes.slice(1, -1)
    expect(parts.reduce((sum, bytes) => sum + bytes, 0)).toBe(total)

    const source = memorySource(randomData(18433))
    const ranges = ChunkRanges.fromBoundaries([2, 4, 16])
    expect((await encodeAll(source, ranges)).length + 8).toBe(total)
    expect(README).toContain(`02 00 03 02 02 0c 01 00`)
    expect(toHex(encodeRangesSeq(RangesSeq.blob(ranges)))).toBe('02000302020c0100')
  })
})

function parseBoundary(text: string): bigint {
  return text === '2^64-1' ? 2n ** 64n - 1n : BigInt(text)
}
