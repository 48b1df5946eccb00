/** Who may push. */
import { isPeerId, type PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'

/** Everybody or nobody, the peers of a list, or whoever a function says yes to. */
export type AcceptPush =
  | boolean
  | readonly (PeerId | string)[]
  | ((peer: PeerId) => boolean | Promise<boolean>)

/** A text is no peer id. */
export class InvalidPeerIdError extends Error {
  override readonly name = 'InvalidPeerIdError'
  readonly code = 'ERR_INVALID_PEER_ID'
}

/** @throws InvalidPeerIdError when an entry of the list is none */
export function pushPolicy(accept: AcceptPush): (peer: PeerId) => boolean | Promise<boolean> {
  if (typeof accept === 'function') return accept
  if (typeof accept === 'boolean') return () => accept
  // An id can be spelt in several ways: all become the one that libp2p prints.
  const ids = new Set(Array.from(accept, id => (isPeerId(id) ? id : parsePeerId(id)).toString()))
  return peer => ids.has(peer.toString())
}

/** @throws InvalidPeerIdError */
export function parsePeerId(text: string): PeerId {
  try {
    return peerIdFromString(text)
  } catch (cause) {
    const [, id] = /\/p2p\/([^/]+)$/.exec(text) ?? []
    const hint =
      id === undefined
        ? 'one looks like 12D3KooW…, with 52 characters'
        : `it is the last part of this address: "${id}"`
    throw new InvalidPeerIdError(`"${text}" is no peer id; ${hint}`, { cause })
  }
}
