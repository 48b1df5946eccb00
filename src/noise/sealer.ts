/** Bytes into messages. */
import { Uint8ArrayList } from 'uint8arraylist'
import type { CipherState } from './cipher-state.ts'
import { LENGTH_BYTES, MAX_CONTENT_BYTES, TAG_BYTES } from './constants.ts'

/** What goes to the peer for `content`: as many messages as it takes, in the pieces that come out of the cipher. */
export function seal(state: CipherState, content: Uint8ArrayList): Uint8ArrayList {
  const sealed = new Uint8ArrayList()
  for (let at = 0; at < content.byteLength; at += MAX_CONTENT_BYTES) {
    const end = Math.min(at + MAX_CONTENT_BYTES, content.byteLength)
    sealMessage(state, content.sublist(at, end), sealed)
  }
  return sealed
}

/** The pieces are not put together first: a muxer's header and what it heads come in two, and copying takes longer than a call. */
function sealMessage(state: CipherState, content: Uint8ArrayList, sealed: Uint8ArrayList): void {
  const cipher = state.encipher()
  sealed.append(lengthOf(content.byteLength + TAG_BYTES))
  for (const piece of content) sealed.append(cipher.update(piece))
  cipher.final()
  sealed.append(cipher.getAuthTag())
}

function lengthOf(bytes: number): Uint8Array {
  const length = new Uint8Array(LENGTH_BYTES)
  length[0] = bytes >> 8
  length[1] = bytes
  return length
}
