/** Reads small files, one after the other. Synchronous: for a thread of its own. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { FOR_READING } from '../../small-file.ts'
import { versionOf } from '../../stats.ts'
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

  /** What `readSmallFile` does. */
  #readFile(path: string, most: number, at: number): Read {
    try {
      const file = openSync(path, FOR_READING)
      try {
        const before = fstatSync(file, { bigint: true })
        if (!before.isFile() || before.size > most) return 'other'
        const length = Number(before.size)
        for (let read = 0; read < length; ) {
          const more = readSync(file, this.#gathered, at + read, length - read, read)
          if (more === 0) return 'changed'
          read += more
        }
        const after = fstatSync(file, { bigint: true })
        if (after.size !== before.size || after.mtimeNs !== before.mtimeNs) return 'changed'
        return { length, version: versionOf(after) }
      } finally {
        closeSync(file)
      }
    } catch (error) {
      return toFailure(error)
    }
  }
}
