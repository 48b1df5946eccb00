/**
 * Which file is what.
 *
 * | file | |
 * |---|---|
 * | `data/<hash>.data` | a complete blob; its presence is what makes the blob complete |
 * | `data/<hash>.obao4` | its outboard in pre-order, without a size; none for blobs of one chunk group |
 * | `data/<hash>.data.part`, `data/<hash>.obao4.part` | a partial blob, everything at its final offset |
 * | `data/<hash>.ranges` | which chunks of the partial blob may be believed |
 * | `data/<hash>.written` | which chunks may be believed besides, until the machine is started anew |
 * | `data/<hash>.sizes4`, `data/<hash>.bitfield` | not ours: iroh-blobs says that `.data` and `.obao4` are partial |
 * | `tags/<hash of the name>.tag` | a tag |
 * | `leases/…` | what is in use, see `leases.ts` |
 * | `sweeps/…` | that garbage is being collected, see there as well |
 * | `temp/…` | what is being written |
 * | `journals/…` | small blobs whose own files may not be on disk yet, see `small/journal-format.ts` |
 *
 * Hashes are written as 64 hex digits, so that letter case does not matter.
 */
import { join, sep } from 'node:path'
import type { Hash } from '../../hash.ts'

/** Ends of names by which iroh-blobs marks partial blobs. */
const DATA = '.data'
const FOREIGN_MARKERS = ['.sizes4', '.bitfield']

const HEX_CHARS = 64
const NAME = /^[0-9a-f]{64}\.[a-z0-9.]+$/

export class Layout {
  readonly root: string
  readonly dataFolder: string
  readonly tagFolder: string
  readonly leaseFolder: string
  readonly sweepFolder: string
  readonly tempFolder: string
  readonly journalFolder: string

  /** Whether iroh-blobs has written the folder. */
  readonly isForeign: boolean

  constructor(root: string, isForeign = false) {
    this.root = root
    this.isForeign = isForeign
    this.dataFolder = join(root, 'data')
    this.tagFolder = join(root, 'tags')
    this.leaseFolder = join(root, 'leases')
    this.sweepFolder = join(root, 'sweeps')
    this.tempFolder = join(root, 'temp')
    this.journalFolder = join(root, 'journals')
  }

  /** `join` puts a path into its shortest form, every time. */
  #inData(name: string): string {
    return this.dataFolder + sep + name
  }

  data(hash: Hash): string {
    return dataPath(this.dataFolder, hash.toString())
  }

  /** Data of which nothing could be proven, until somebody looks at it. Nothing reads it again. */
  setAside(hash: Hash): string {
    return `${this.data(hash)}.damaged`
  }

  outboard(hash: Hash): string {
    return this.#inData(`${hash}.obao4`)
  }

  partialData(hash: Hash): string {
    return this.#inData(`${hash}.data.part`)
  }

  partialOutboard(hash: Hash): string {
    return this.#inData(`${hash}.obao4.part`)
  }

  ranges(hash: Hash): string {
    return this.#inData(`${hash}.ranges`)
  }

  /** None in a folder of our own: to look for them takes as long as all else that has to be looked for. */
  note(hash: Hash): string {
    return join(this.dataFolder, `${hash}.written`)
  }

  foreignMarkers(hash: Hash): string[] {
    if (!this.isForeign) return []
    return FOREIGN_MARKERS.map(end => this.#inData(`${hash}${end}`))
  }
}

/** The data file of a complete blob. */
export function dataPath(dataFolder: string, hex: string): string {
  return `${dataFolder}${sep}${hex}${DATA}`
}

export type EntryKind = 'data' | 'partial' | 'foreign-marker' | 'other'

/** Whether the name of a file is that of a complete blob's data, if it is one of ours: less to do than {@link parseName} has. */
export function isDataName(name: string): boolean {
  return name.endsWith(DATA)
}

/** What the name of a file in `data/` says; undefined for files that are none of ours. */
export function parseName(name: string): { hex: string; kind: EntryKind } | undefined {
  // Without groups, which would take longer than all else that is done for each file of a long list.
  return NAME.test(name) ? { hex: name.slice(0, HEX_CHARS), kind: kindOf(name.slice(HEX_CHARS)) } : undefined
}

function kindOf(end: string): EntryKind {
  if (end === DATA) return 'data'
  if (end === '.data.part') return 'partial'
  return FOREIGN_MARKERS.includes(end) ? 'foreign-marker' : 'other'
}
