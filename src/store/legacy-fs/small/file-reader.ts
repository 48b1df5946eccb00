/** Reads small files, one after the other. Synchronous: for a thread of its own. */
import { readSmallFileSync } from '../../small-file.ts'
import { type Answer, type Read, toFailure } from './messages.ts'

/** Bytes that are gathered; it grows when more are asked for at a time. */
const FIRST_BYTES = 256 * 1024

export class FileReader {
  #gathered = Buffer.alloc(FIRST_BYTES)

  /** @param most bytes of a file; a longer one is `other`, and not read */
  read(paths: readonly string[], most: number): Answer {
    if (this.#gathered.length < paths.length * most) this.#gathered = Buffer.alloc(paths.length * most)
    let filled = 0
    const results = paths.map(path => {
      const read = this.#readFile(path, most, filled)
      if (typeof read === 'object' && 'length' in read) filled += read.length
      return read
    })
    return { results, bytes: new Uint8Array(this.#gathered.subarray(0, filled)) }
  }

  #readFile(path: string, most: number, at: number): Read {
    try {
      const read = readSmallFileSync(path, most, {
        place: length => this.#gathered.subarray(at, at + length)
      })
      return typeof read === 'string' ? read : { length: read.bytes.length, version: read.version }
    } catch (error) {
      return toFailure(error)
    }
  }
}
