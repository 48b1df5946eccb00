/** Hashes as content identifiers, for people who come from IPFS: CIDv1, codec raw, multihash blake3. */
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { HASH_BYTES, Hash } from './hash.ts'

/** Code of raw bytes in the table of multicodecs. */
const RAW = 0x55

/** Code of BLAKE3 in the table of multicodecs. */
const BLAKE3 = 0x1e

/** Longest text that is read as a CID: more than any of a 32-byte hash needs. */
const MAX_CID_CHARS = 256

/** Other codes that people are likely to come with. */
const CODECS: Readonly<Record<number, string>> = {
  112: 'dag-pb',
  113: 'dag-cbor',
  114: 'libp2p-key',
  128: 'blake3-hashseq',
  297: 'dag-json'
}
const HASHES: Readonly<Record<number, string>> = {
  0: 'identity',
  18: 'sha2-256',
  19: 'sha2-512',
  22: 'sha3-256',
  27: 'keccak-256',
  45600: 'blake2b-256'
}

/** The CID is none, or names something that is no blob of ours. */
export class InvalidCidError extends Error {
  override readonly name = 'InvalidCidError'
  readonly code = 'ERR_INVALID_CID'
}

export function hashToCid(hash: Hash): CID {
  return CID.createV1(RAW, Digest.create(BLAKE3, hash.bytes))
}

/**
 * @param cid the text form may be base32, base36 or base58btc
 * @throws InvalidCidError saying which codec or hash function the CID has instead of raw and blake3
 */
export function hashFromCid(cid: CID | string): Hash {
  const { multihash, code } = typeof cid === 'string' ? parse(cid) : cid
  if (multihash.code !== BLAKE3) {
    throw new InvalidCidError(
      `the CID ${cid} has the hash function ${describe(HASHES, multihash.code)}; blobs have blake3`
    )
  }
  if (multihash.digest.length !== HASH_BYTES) {
    throw new InvalidCidError(
      `the CID ${cid} has a hash of ${multihash.digest.length} bytes; blobs have ${HASH_BYTES}`
    )
  }
  if (code !== RAW) {
    throw new InvalidCidError(`the CID ${cid} has the codec ${describe(CODECS, code)}; blobs have raw`)
  }
  return Hash.fromBytes(multihash.digest)
}

function parse(text: string): CID {
  try {
    if (text.length > MAX_CID_CHARS) {
      throw new RangeError(`${text.length} characters are too many`)
    }
    return CID.parse(text)
  } catch (cause) {
    throw new InvalidCidError(`${JSON.stringify(text.slice(0, MAX_CID_CHARS))} is no CID`, { cause })
  }
}

function describe(names: Readonly<Record<number, string>>, code: number): string {
  const hex = `0x${code.toString(16)}`
  return code in names ? `${names[code]} (${hex})` : hex
}
