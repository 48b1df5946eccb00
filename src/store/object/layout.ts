/**
 * The keys of the object store's objects.
 *
 * ```
 * blobs/{hash}/data                 the blob's bytes; there ⇔ the blob is complete
 * blobs/{hash}/outboard             its outboard in pre-order, of blobs above 16 KiB; written before the data
 * blobs/{hash}/partial/{fragment}   what is held of a blob that is not complete (`fragment-name.ts`)
 * blobs/{hash}/partial/{body}       data of fragments, in one piece: only where objects can be written in place
 * tags/{hash of the name}           a tag, as JSON
 * quarantine/{hash}/{what}-{time}   what did not match its key: never deleted by us
 * temp/{random}                     a stream that is being added, or a piece of what is being composed
 * ```
 *
 * `{hash}` is in base32, whose order is that of the keys.
 */
import { groupCount } from '../../bao/geometry.ts'
import { hashBytes } from '../../bao/outboard.ts'
import { Hash } from '../../hash.ts'
import { isBodyName } from './fragment-name.ts'

export const BLOBS_PREFIX = 'blobs/'
export const TAGS_PREFIX = 'tags/'
export const TEMP_PREFIX = 'temp/'
export const QUARANTINE_PREFIX = 'quarantine/'

/**
 * Objects under `temp/`, and uploads never completed, are swept when they are older than this many milliseconds. Another node may
 * be writing them, over a line on which a large blob takes days.
 */
export const ABANDONED_MS = 7 * 24 * 60 * 60 * 1000

/** All keys of a blob begin with this. */
export function blobPrefix(hash: Hash): string {
  return `${BLOBS_PREFIX}${hash.toBase32()}/`
}

export function dataKey(hash: Hash): string {
  return `${blobPrefix(hash)}data`
}

export function outboardKey(hash: Hash): string {
  return `${blobPrefix(hash)}outboard`
}

/** Whether a blob has an outboard: a single chunk group has none. */
export function hasOutboard(size: number): boolean {
  return groupCount(size) > 1
}

export function partialPrefix(hash: Hash): string {
  return `${blobPrefix(hash)}partial/`
}

/** @param name in any characters and up to 1024 bytes, which is more than a key takes: so it is hashed */
export function tagKey(name: string): string {
  return `${TAGS_PREFIX}${hashBytes(new TextEncoder().encode(name)).hash.toBase32()}`
}

/** Whether a key can be a tag's. */
export function isTagKey(key: string): boolean {
  return /^tags\/[a-z2-7]{52}$/.test(key)
}

/** Characters of a fragment's name that its key in the quarantine keeps: with the time, no more than a file's name may have. */
const MOST_WHAT_CHARS = 220

/** Where what does not match its key is kept for somebody to look at. */
export function quarantineKey(hash: Hash, what: string, now: number): string {
  return `${QUARANTINE_PREFIX}${hash.toBase32()}/${what.slice(0, MOST_WHAT_CHARS)}-${now}`
}

/** Where an object is kept whose key is a tag's, and which is none. */
export function quarantineKeyOfTag(key: string, now: number): string {
  return `${QUARANTINE_PREFIX}${key.slice(TAGS_PREFIX.length)}/tag-${now}`
}

/** Whether a key is one of those that are made for what is being written. */
export function isTempKey(key: string): boolean {
  return /^temp\/[0-9a-f]{32}(-[0-9]+)?$/.test(key)
}

/** Whether a key can be one of a store's: a bucket may have objects of others, too. */
export function isOwnKey(key: string): boolean {
  return isTempKey(key) || isTagKey(key) || parseBlobKey(key) !== undefined || isQuarantineKey(key)
}

function isQuarantineKey(key: string): boolean {
  return /^quarantine\/[a-z2-7]{52}\/[a-z0-9._-]+-[0-9]+$/.test(key)
}

/** What a key under {@link BLOBS_PREFIX} is. */
export interface BlobKey {
  readonly hash: Hash
  readonly kind: 'data' | 'outboard' | 'fragment' | 'body'
  /** The fragment's name. */
  readonly fragment?: string
  /** The body's name. */
  readonly body?: string
}

/** @returns undefined when it is no key of ours */
export function parseBlobKey(key: string): BlobKey | undefined {
  const match = /^blobs\/([a-z2-7]{52})\/(?:(data|outboard)|partial\/([0-9][0-9a-f._-]{0,254}))$/.exec(key)
  if (match === null) return undefined
  const hash = parseHash(match[1]!)
  if (hash === undefined) return undefined
  const name = match[3]
  if (name !== undefined)
    return isBodyName(name) ? { hash, kind: 'body', body: name } : { hash, kind: 'fragment', fragment: name }
  return { hash, kind: match[2] as 'data' | 'outboard' }
}

/** 52 letters hold four bits more than a hash: not all of them are one. */
function parseHash(text: string): Hash | undefined {
  try {
    return Hash.parse(text)
  } catch {
    return undefined
  }
}
