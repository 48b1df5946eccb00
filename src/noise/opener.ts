/** Messages into bytes. */
import type { DecipherChaCha20Poly1305 } from 'node:crypto'
import type { CipherState } from './cipher-state.ts'
import { LENGTH_BYTES, MOST_PIECES, TAG_BYTES } from './constants.ts'
import { NoiseMessageError } from './errors.ts'

/** A message of which not all has come. */
interface Arriving {
  readonly decipher: DecipherChaCha20Poly1305
  /** Decrypted, but not yet proven. */
  content: Uint8Array[]
  /** Bytes of content that are still to come. */
  missing: number
}

/**
 * Decrypts messages while they arrive: they are seldom cut where the socket's reads are, and putting them together first would
 * copy nearly all of them.
 */
export class Opener {
  readonly #state: CipherState
  readonly #length = new Uint8Array(LENGTH_BYTES)
  #lengthFilled = 0
  readonly #tag = new Uint8Array(TAG_BYTES)
  #tagFilled = 0
  #arriving: Arriving | undefined

  constructor(state: CipherState) {
    this.#state = state
  }

  /**
   * Takes what has arrived, and appends to `opened` the pieces that this has proven, of which there may be many.
   *
   * @throws NoiseMessageError, NoiseKeyError: nothing that comes after it can be decrypted
   */
  open(bytes: Uint8Array, opened: Uint8Array[]): void {
    let at = 0
    while (at < bytes.length) {
      const arriving = this.#arriving
      if (arriving === undefined) at += this.#takeLength(bytes.subarray(at))
      else if (arriving.missing > 0) at += takeContent(arriving, bytes.subarray(at))
      else at += this.#takeTag(arriving, bytes.subarray(at), opened)
    }
  }

  /** Drops what of a message has come. */
  forget(): void {
    this.#arriving = undefined
  }

  #takeLength(bytes: Uint8Array): number {
    const taken = fill(this.#length, this.#lengthFilled, bytes)
    this.#lengthFilled += taken
    if (this.#lengthFilled === LENGTH_BYTES) {
      const [high, low] = this.#length as unknown as [number, number]
      const missing = ((high << 8) | low) - TAG_BYTES
      if (missing < 0) {
        throw new NoiseMessageError(this.#state.count, `has ${missing + TAG_BYTES} bytes, too few for one`)
      }
      this.#arriving = { decipher: this.#state.decipher(), content: [], missing }
      this.#lengthFilled = 0
      this.#tagFilled = 0
    }
    return taken
  }

  #takeTag({ decipher, content }: Arriving, bytes: Uint8Array, opened: Uint8Array[]): number {
    const taken = fill(this.#tag, this.#tagFilled, bytes)
    this.#tagFilled += taken
    if (this.#tagFilled === TAG_BYTES) {
      try {
        decipher.setAuthTag(this.#tag).final()
      } catch (cause) {
        throw new NoiseMessageError(this.#state.count - 1, 'is not what the peer has encrypted', cause)
      }
      opened.push(...content)
      this.#arriving = undefined
    }
    return taken
  }
}

/** @returns how many bytes were taken, as with the others */
function takeContent(arriving: Arriving, bytes: Uint8Array): number {
  const taken = Math.min(arriving.missing, bytes.length)
  arriving.content = inFewPieces(arriving.content)
  arriving.content.push(arriving.decipher.update(bytes.subarray(0, taken)))
  arriving.missing -= taken
  return taken
}

/** The same bytes; copied together if they are in more than `MOST_PIECES`. */
export function inFewPieces(pieces: Uint8Array[]): Uint8Array[] {
  return pieces.length > MOST_PIECES ? [Buffer.concat(pieces)] : pieces
}

function fill(target: Uint8Array, filled: number, bytes: Uint8Array): number {
  const taken = Math.min(target.length - filled, bytes.length)
  target.set(bytes.subarray(0, taken), filled)
  return taken
}
