/**
 * The files in `journals/`, which keep small blobs safe whose own files are not on disk yet.
 *
 * | file | |
 * |---|---|
 * | `<owner>-<n>.<m>.journal` | 8 bytes of magic, 32 bytes that name the time since the machine was started, then the blobs, one after the other: the hash (32 bytes), the length (4, little-endian), the data; then, perhaps, zeros, as room for more |
 * | `<owner>-<n>.<m>.journal.gone` | what was deleted since: the hash (32 bytes), and how long the journal was then (8, little-endian): what it says of this blob up to there counts no more |
 *
 * A record proves itself by its hash: the last one may have been cut off. The owner is an open store of some process, see
 * `owners.ts`.
 */
import { HASH_BYTES } from '../../../hash.ts'
import { isOwner } from '../../owners.ts'

const MAGIC = Buffer.from('blobsjl1')
export const BOOT_BYTES = 32
export const HEADER_BYTES = MAGIC.length + BOOT_BYTES

/** Bytes of a record in front of its data. */
export const RECORD_HEAD_BYTES = HASH_BYTES + 4

export const GONE_BYTES = HASH_BYTES + 8

const NAME = /^(.+)-\d+\.\d+\.journal$/

/** Whose journal it is; undefined when it is none. */
export function ownerOf(name: string): string | undefined {
  const [, owner] = NAME.exec(name) ?? []
  return owner !== undefined && isOwner(owner) ? owner : undefined
}

const GONE = '.gone'

/** Where is told what a journal says in vain. */
export function gonePath(journal: string): string {
  return journal + GONE
}

/** The journal whose {@link gonePath} this may be. */
export function journalOfGone(path: string): string | undefined {
  const journal = path.endsWith(GONE) ? path.slice(0, -GONE.length) : undefined
  return journal !== undefined && NAME.test(journal) ? journal : undefined
}

/** @param boot names the time since the machine was started; all zeros where the system does not tell */
export function encodeHeader(boot: Uint8Array): Uint8Array {
  return Buffer.concat([MAGIC, boot])
}

/** @returns undefined when it is no journal, or was cut off before it held anything */
export function bootOf(journal: Uint8Array): Uint8Array | undefined {
  if (journal.length < HEADER_BYTES || !MAGIC.equals(journal.subarray(0, MAGIC.length))) return undefined
  return journal.subarray(MAGIC.length, HEADER_BYTES)
}

/** Where a record is to be written that {@link writeRecord} makes. */
export function recordBytes(data: Uint8Array): number {
  return RECORD_HEAD_BYTES + data.length
}

/** @returns where it ends */
export function writeRecord(target: Buffer, at: number, hash: Uint8Array, data: Uint8Array): number {
  target.set(hash, at)
  target.writeUInt32LE(data.length, at + HASH_BYTES)
  target.set(data, at + RECORD_HEAD_BYTES)
  return at + recordBytes(data)
}

export interface JournalRecord {
  /** Offset in the bytes that were given. */
  readonly at: number
  readonly hash: Buffer
  readonly data: Buffer
}

/** The records from an offset on, up to one that was cut off, or room for more: a blob of nothing has none. Whether their data is right is not looked at. */
export function* recordsIn(bytes: Buffer, from: number): Generator<JournalRecord, void, undefined> {
  for (let at = from; at + RECORD_HEAD_BYTES <= bytes.length; ) {
    const start = at + RECORD_HEAD_BYTES
    const end = start + bytes.readUInt32LE(at + HASH_BYTES)
    if (end === start || end > bytes.length) return
    yield { at, hash: bytes.subarray(at, at + HASH_BYTES), data: bytes.subarray(start, end) }
    at = end
  }
}

/** Adds to what is known of each blob, by the hash in hex: up to where in the journal it counts no more. */
export function addGone(ends: Map<string, number>, bytes: Buffer): void {
  for (let at = 0; at + GONE_BYTES <= bytes.length; at += GONE_BYTES) {
    const hex = bytes.toString('hex', at, at + HASH_BYTES)
    ends.set(hex, Math.max(ends.get(hex) ?? 0, Number(bytes.readBigUInt64LE(at + HASH_BYTES))))
  }
}

export function encodeGone(hash: Uint8Array, journalBytes: number): Uint8Array {
  const bytes = Buffer.alloc(GONE_BYTES)
  bytes.set(hash)
  bytes.writeBigUInt64LE(BigInt(journalBytes), HASH_BYTES)
  return bytes
}
