/** What is in the database's rows, checked: nobody but this program writes them, but nobody keeps others from it either. */
import { Hash } from '../../../hash.ts'
import type { BlobFormat, Root, Tag } from '../../index.ts'
import { MetadataError } from './errors.ts'
import { howToRebuild } from './sqlite-errors.ts'

export interface BlobRow {
  readonly hash: Hash
  /** Bytes; of a partial blob as claimed. */
  readonly size: number
  readonly state: 'complete' | 'partial'
  /** Whether there is an outboard object; of a partial blob false. */
  readonly hasOutboard: boolean
  /** When something of the blob was first there, in ms since 1970. */
  readonly createdAt: number
  /**
   * In ms since 1970, and later with each change of the blob or of its fragments, even within one millisecond: as long as it is
   * the same, so is what is known of the blob.
   */
  readonly updatedAt: number
}

/** A row of `blobs` as SQLite returns it. */
export interface RawBlob {
  readonly hash: unknown
  readonly size: unknown
  readonly state: unknown
  readonly has_outboard: unknown
  readonly created_at: unknown
  readonly updated_at: unknown
}

/** A row of `tags` as SQLite returns it. */
export interface RawTag {
  readonly name: unknown
  readonly hash: unknown
  readonly format: unknown
}

/** A tag, or a blob that a lease protects, as SQLite returns it. */
export interface RawRoot extends RawTag {
  readonly seq: number
}

const BASE32 = /^[a-z2-7]{52}$/

/**
 * @param path the database's, for messages
 * @param where table and row, for messages
 * @throws MetadataError
 */
export function parseHash(text: unknown, path: string, where: string): Hash {
  try {
    if (typeof text === 'string' && BASE32.test(text)) return Hash.parse(text)
  } catch {
    // 52 letters hold four bits more than a hash: not all of them are one.
  }
  throw bad(path, where, `the hash ${shown(text)} is none`)
}

/**
 * @param path the database's, for messages
 * @param known the hash, when it is known which row this is
 * @throws MetadataError
 */
export function parseBlob(row: RawBlob, path: string, known?: Hash): BlobRow {
  const where = `table blobs, row ${shown(row.hash)}`
  const hash = known ?? parseHash(row.hash, path, where)
  const { size, state, has_outboard: outboard, created_at: createdAt, updated_at: updatedAt } = row
  if (state !== 'complete' && state !== 'partial')
    throw bad(path, where, `the state ${shown(state)} is not known`)
  if (!isCount(size)) throw bad(path, where, `${shown(size)} is no size in bytes`)
  if (outboard !== 0 && outboard !== 1)
    throw bad(path, where, `has_outboard is ${shown(outboard)}, not 0 or 1`)
  if (!isCount(createdAt) || !isCount(updatedAt)) throw bad(path, where, 'a time is none')
  return { hash, size, state, hasOutboard: outboard === 1, createdAt, updatedAt }
}

/** @throws MetadataError */
export function parseTag(row: RawTag, path: string): Tag {
  const name = parseName(row.name, path)
  const where = `table tags, row ${shown(name)}`
  const { format } = row
  if (!isFormat(format)) throw bad(path, where, `the format ${shown(format)} is not known`)
  return { name, hash: parseHash(row.hash, path, where), format }
}

/** @throws MetadataError */
export function parseRoot(row: RawRoot, path: string): Root {
  if (row.name !== null) {
    const { name: tag, hash, format } = parseTag(row, path)
    return { hash, format, tag }
  }
  const where = `table leased_blobs, row ${row.seq}`
  const { format } = row
  if (!isFormat(format)) throw bad(path, where, `the format ${shown(format)} is not known`)
  return { hash: parseHash(row.hash, path, where), format }
}

function parseName(bytes: unknown, path: string): string {
  try {
    if (bytes instanceof Uint8Array) {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    }
  } catch {
    // Said below.
  }
  throw bad(path, 'table tags', 'a name is not in UTF-8')
}

function isFormat(value: unknown): value is BlobFormat {
  return value === 'raw' || value === 'hash_seq'
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function bad(path: string, where: string, what: string): MetadataError {
  return new MetadataError(
    `database ${path}, ${where}: ${what}; something else has written to it: ${howToRebuild(path)}`
  )
}

function shown(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`
}
