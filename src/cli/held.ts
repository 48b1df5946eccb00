/** What is held of a blob, in words and for scripts. */
import { CHUNK_BYTES } from '../bao/constants.ts'
import { bytesWithin } from '../bao/geometry.ts'
import type { Hash } from '../hash.ts'
import type { BlobStatus } from '../store/index.ts'
import { formatBytes } from './format.ts'

/** More ranges than these are only counted: who wants all of them asks for JSON. */
const MAX_RANGES = 12

/** A blob's status, for scripts. */
export interface StatusFields {
  readonly hash: string
  readonly state: BlobStatus['state']
  /** Bytes; of a partial blob as claimed, unless `isSizeProven`; null when nobody knows. */
  readonly size: number | null
  readonly isSizeProven: boolean
  /** Bytes that are held. */
  readonly held: number
}

/** The same of a blob of which something is held. */
export type HeldFields = StatusFields & { readonly size: number }

export function describeStatus(blob: {
  readonly hash: Hash
  readonly status: Exclude<BlobStatus, { state: 'absent' }>
}): HeldFields
export function describeStatus(blob: { readonly hash: Hash; readonly status: BlobStatus }): StatusFields
export function describeStatus({ hash, status }: { hash: Hash; status: BlobStatus }): StatusFields {
  const { state } = status
  const common = { hash: hash.toString(), state }
  if (state === 'absent') return { ...common, size: null, isSizeProven: false, held: 0 }
  const { size } = status
  if (state === 'complete') return { ...common, size, isSizeProven: true, held: size }
  return { ...common, size, isSizeProven: status.isSizeProven, held: bytesWithin(status.ranges, size) }
}

/** `complete`, `partial 73 %`, `absent` */
export function formatState({ state, size, held }: StatusFields): string {
  if (state !== 'partial') return state
  return `partial ${size === null || size === 0 ? 0 : Math.floor((held / size) * 100)} %`
}

/** Ranges of bytes that are held: first, and first behind. */
export function heldRanges(status: BlobStatus): (readonly [start: number, end: number])[] {
  if (status.state === 'absent') return []
  const { size } = status
  if (status.state === 'complete') return [[0, size]]
  return Array.from(status.ranges, ([start, end]) => [
    Number(start) * CHUNK_BYTES,
    end === undefined ? size : Math.min(Number(end) * CHUNK_BYTES, size)
  ])
}

/** `0-16 MiB, 32 MiB-…`: the last goes on to the end of the blob. */
export function formatRanges(
  ranges: readonly (readonly [start: number, end: number])[],
  size: number
): string {
  const shown = ranges
    .slice(0, MAX_RANGES)
    .map(([start, end]) => `${short(start)}-${end === size ? '…' : short(end)}`)
  const more = ranges.length - shown.length
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join(', ') || 'none'
}

/** Without a fraction that is none: `16 MiB`. */
function short(bytes: number): string {
  return bytes === 0 ? '0' : formatBytes(bytes).replace('.0 ', ' ')
}
