/**
 * What is held of a blob that is not complete lies in *fragments*: objects that never change, each with some chunk groups of one
 * part. A fragment's name tells which, so a listing of the bucket tells all that is held:
 *
 * ```
 * {size}.{from}-{to}[_{from}-{to}…]      1073741824.512-1024, 70000.0-2_3-4
 * ```
 *
 * `size` is the blob's size in bytes, as claimed; groups are numbered from the blob's start, `to` is the one after the last.
 *
 * Where objects can be written in place, the data of all groups may be in one object, the *body*, where it is in the blob. Then the
 * body's id, 16 hex digits, is behind the fragment's name, and the fragment has the outboard's nodes only:
 *
 * ```
 * {size}.{from}-{to}[_{from}-{to}…].{body}
 * {size}.{body}                              the body itself
 * ```
 *
 * So a body is what it is for one blob that is arriving, and never another one's: what a fragment says of it stays true.
 */
import { randomBytes } from 'node:crypto'
import { GROUP_CHUNKS } from '../../bao/constants.ts'
import { chunkCount, groupCount } from '../../bao/geometry.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import { type GroupSpan, Parts } from './parts.ts'

/** Most spans in a name. */
export const MOST_SPANS = 12

/** A file's name has at most so many bytes. */
const MOST_NAME_CHARS = 255

export interface Fragment {
  /** Bytes of the blob, as claimed. */
  readonly size: number
  /** Ascending and apart, all in one part. */
  readonly spans: readonly GroupSpan[]
  /** Id of the body that has the data; undefined: the fragment itself has it. */
  readonly body?: string | undefined
}

/** Bytes of a body's id. */
const BODY_ID_BYTES = 8

const NAME =
  /^(0|[1-9]\d{0,15})\.((?:0|[1-9]\d{0,11})-[1-9]\d{0,11}(?:_[1-9]\d{0,11}-[1-9]\d{0,11})*)(?:\.([0-9a-f]{16}))?$/

const BODY_NAME = /^([1-9]\d{0,15})\.([0-9a-f]{16})$/

/** An id that no other body has. */
export function newBody(): string {
  return randomBytes(BODY_ID_BYTES).toString('hex')
}

export function formatBody(size: number, body: string): string {
  return `${size}.${body}`
}

/** Whether this is the name of a body. */
export function isBodyName(name: string): boolean {
  return BODY_NAME.test(name)
}

export function formatFragment({ size, spans, body }: Fragment): string {
  const name = `${size}.${spans.map(({ from, to }) => `${from}-${to}`).join('_')}`
  return body === undefined ? name : `${name}.${body}`
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
  if (!isSound(size, spans)) return undefined
  const body = match[3]
  return body === undefined ? { size, spans } : { size, spans, body }
}

function isSound(size: number, spans: readonly GroupSpan[]): boolean {
  if (spans.length > MOST_SPANS) return false
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

/** Bytes of the data of a fragment's groups, wherever it is. */
export function dataBytesOf({ size, spans }: Fragment): number {
  const parts = new Parts(size)
  return spans.reduce((sum, span) => sum + parts.bytesOf(span), 0)
}

/** The fragments that hold the groups of one part, which are ascending. Most often one. @param body that has their data, if one does */
export function fragmentsOf(size: number, groups: Iterable<number>, body?: string): Fragment[] {
  const spans: { from: number; to: number }[] = []
  for (const group of groups) {
    const last = spans.at(-1)
    if (last?.to === group) last.to++
    else spans.push({ from: group, to: group + 1 })
  }
  const most = mostSpans(size, body)
  const fragments: Fragment[] = []
  for (let i = 0; i < spans.length; i += most) fragments.push({ size, spans: spans.slice(i, i + most), body })
  return fragments
}

/** How many spans have room in a name: above 5 TiB the numbers of groups are too long for {@link MOST_SPANS}. */
function mostSpans(size: number, body: string | undefined): number {
  const digits = String(groupCount(size)).length
  // A dot follows the size, and `-` and `_` the numbers, but for the last.
  const room = MOST_NAME_CHARS - String(size).length - (body === undefined ? 0 : body.length + 1)
  return Math.min(MOST_SPANS, Math.floor(room / (2 * digits + 2)))
}

/** Whether a fragment is all of its part. */
export function isWholePart({ size, spans }: Fragment): boolean {
  const parts = new Parts(size)
  const whole = parts.groupsOf(parts.of(spans[0]!.from))
  return spans[0]!.from === whole.from && spans[0]!.to === whole.to
}
