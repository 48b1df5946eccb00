/**
 * What is held of a blob that is not complete lies in *fragments*: objects that never change, each with some chunk groups of one
 * part. A fragment's name tells which, so a listing of the bucket tells all that is held:
 *
 * ```
 * {size}.{from}-{to}[_{from}-{to}…]      1073741824.512-1024, 70000.0-2_3-4
 * ```
 *
 * `size` is the blob's size in bytes, as claimed; groups are numbered from the blob's start, `to` is the one after the last.
 */
import { GROUP_CHUNKS } from '../../bao/constants.ts'
import { chunkCount } from '../../bao/geometry.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import { Parts } from './parts.ts'

/** Most spans in a name: a file's name has at most 255 bytes, and groups of a 1 TiB blob have 8 digits. */
export const MOST_RUNS = 12

/** Groups that follow each other. */
export interface GroupSpan {
  readonly from: number
  /** The group after the last. */
  readonly to: number
}

export interface Fragment {
  /** Bytes of the blob, as claimed. */
  readonly size: number
  /** Ascending and apart, all in one part. */
  readonly spans: readonly GroupSpan[]
}

const NAME = /^(0|[1-9]\d{0,15})\.((?:0|[1-9]\d{0,11})-[1-9]\d{0,11}(?:_[1-9]\d{0,11}-[1-9]\d{0,11})*)$/

export function formatFragment({ size, spans }: Fragment): string {
  return `${size}.${spans.map(({ from, to }) => `${from}-${to}`).join('_')}`
}

/** @returns undefined when it is no name of a fragment */
export function parseFragment(name: string): Fragment | undefined {
  const match = NAME.exec(name)
  if (match === null) return undefined
  const size = Number(match[1])
  if (!Number.isSafeInteger(size) || size === 0) return undefined
  const spans = match[2]!.split('_').map(text => {
    const [from, to] = text.split('-')
    return { from: Number(from), to: Number(to) }
  })
  return isSound(size, spans) ? { size, spans } : undefined
}

function isSound(size: number, spans: readonly GroupSpan[]): boolean {
  if (spans.length > MOST_RUNS) return false
  const parts = new Parts(size)
  const part = parts.of(spans[0]!.from)
  let end = -1
  for (const { from, to } of spans) {
    // Spans that touch would be one.
    if (from <= end || to <= from) return false
    end = to
  }
  return end <= parts.endGroup(part)
}

/** The chunks of a fragment's groups. */
export function chunksOf({ size, spans }: Fragment): ChunkRanges {
  const chunks = chunkCount(size)
  return ChunkRanges.fromBoundaries(
    spans.flatMap(({ from, to }) => [from * GROUP_CHUNKS, Math.min(to * GROUP_CHUNKS, chunks)])
  )
}

/** The fragments that hold the groups of one part, which are ascending. Most often one. */
export function fragmentsOf(size: number, groups: Iterable<number>): Fragment[] {
  const spans: { from: number; to: number }[] = []
  for (const group of groups) {
    const last = spans.at(-1)
    if (last?.to === group) last.to++
    else spans.push({ from: group, to: group + 1 })
  }
  const fragments: Fragment[] = []
  for (let i = 0; i < spans.length; i += MOST_RUNS) {
    fragments.push({ size, spans: spans.slice(i, i + MOST_RUNS) })
  }
  return fragments
}

/** Whether a fragment is all of its part. */
export function isWholePart({ size, spans }: Fragment): boolean {
  const parts = new Parts(size)
  const { from, to } = spans[0]!
  return from === parts.firstGroup(parts.of(from)) && to === parts.endGroup(parts.of(from))
}
