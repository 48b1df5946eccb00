/** Ranges of bytes, in `Range` and in `x-amz-copy-source-range`. */
import { invalidArgument, S3Error } from './errors.ts'

export interface ByteRange {
  readonly offset: number
  readonly length: number
}

/** @returns undefined when the whole object is meant, also by a header that is not understood, as HTTP has it */
export function parseRange(header: string | undefined, size: number): ByteRange | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '')
  if (match === null || (match[1] === '' && match[2] === '')) return undefined
  if (match[1] === '') {
    const length = Math.min(Number(match[2]), size)
    if (length === 0) throw unsatisfiable(size)
    return { offset: size - length, length }
  }
  const first = Number(match[1])
  const last = match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1)
  if (match[2] !== '' && Number(match[2]) < first) return undefined
  if (first >= size) throw unsatisfiable(size)
  return { offset: first, length: last - first + 1 }
}

/** Of a copy, both ends are given and both must be inside the object. */
export function parseCopyRange(header: string | undefined, size: number): ByteRange {
  if (header === undefined) return { offset: 0, length: size }
  const match = /^bytes=(\d+)-(\d+)$/.exec(header)
  if (match === null) throw invalidArgument('x-amz-copy-source-range must be like bytes=0-9')
  const [first, last] = [Number(match[1]), Number(match[2])]
  if (last < first) throw invalidArgument('x-amz-copy-source-range ends before it begins')
  if (last >= size) throw unsatisfiable(size)
  return { offset: first, length: last - first + 1 }
}

function unsatisfiable(size: number): S3Error {
  return new S3Error('InvalidRange', 416, 'The requested range is not satisfiable', {
    ActualObjectSize: `${size}`
  })
}
