/** The host key in a certificate: whose id it makes, and what it has signed. */
import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { publicKeyFromProtobuf } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromMultihash, peerIdFromPublicKey } from '@libp2p/peer-id'
import { sha256 } from 'multiformats/hashes/sha2'

/** A public key of a libp2p node. */
export interface HostKey {
  readonly peer: PeerId
  /** May throw when it can be none at all. */
  verify(content: Uint8Array, signature: Uint8Array): boolean | Promise<boolean>
}

/** How the protobuf of an ECDSA key begins: type 3, then the field of the key. */
const ECDSA_START = [0x08, 0x03, 0x12]

/**
 * @param bytes the key as protobuf: libp2p specification of peer ids, "Keys"
 * @throws anything when it is none
 */
export async function decodeHostKey(bytes: Uint8Array): Promise<HostKey> {
  if (ECDSA_START.every((byte, i) => bytes[i] === byte)) return await ecdsaKey(bytes)
  const key = publicKeyFromProtobuf(bytes)
  return {
    peer: peerIdFromPublicKey(key),
    verify: async (content, signature) => await key.verify(content, signature)
  }
}

/** js-libp2p has ECDSA keys, but in an encoding of its own, and no ids for them. Others have them as they are specified. */
async function ecdsaKey(bytes: Uint8Array): Promise<HostKey> {
  const key = publicKeyOf(bytes)
  return {
    // Keys longer than 42 bytes are hashed.
    peer: peerIdFromMultihash(await sha256.digest(bytes)),
    verify: (content, signature) => verify('sha256', content, key, signature)
  }
}

function publicKeyOf(bytes: Uint8Array): KeyObject {
  // The length is one byte, or two for the largest curve; what is left is SubjectPublicKeyInfo.
  const start = ECDSA_START.length + (bytes[ECDSA_START.length]! < 0x80 ? 1 : 2)
  const key = createPublicKey({ key: Buffer.from(bytes.subarray(start)), format: 'der', type: 'spki' })
  if (key.asymmetricKeyType !== 'ec') throw new Error(`an ECDSA key is of type ${key.asymmetricKeyType}`)
  return key
}
