/**
 * What is done about a blob that is said to be damaged. An outboard is computed anew. What is wrong of the data is not claimed any
 * more: the blob is partial from then on, so that only the wrong groups have to be fetched again, which overwrites them. Data of
 * which nothing can be proven is set aside.
 */
import { rename, rm } from 'node:fs/promises'
import { isWhole } from '../../bao/geometry.ts'
import { provenGroups } from '../../bao/proven-groups.ts'
import { ChunkRanges } from '../../bao/ranges.ts'
import type { Hash } from '../../hash.ts'
import { type BlobFiles, FsReader } from '../file-reader.ts'
import { explained } from '../fs-errors.ts'
import type { Lifetime } from '../lifetime.ts'
import { wholeRange } from '../status.ts'
import { wrongGroupsNotice } from '../wrong-groups.ts'
import type { FsContext } from './context.ts'
import { type FoundComplete, findComplete } from './found.ts'
import type { Held } from './held.ts'
import type { Integrity } from './integrity.ts'
import { makePartial } from './make-partial.ts'
import { openComplete, openPartial, untilStill } from './opening.ts'
import type { Partials } from './partials.ts'

export class Mending {
  readonly #context: FsContext
  readonly #integrity: Integrity
  readonly #partials: Partials
  readonly #lifetime: Lifetime
  /** Blobs that are being looked at. */
  readonly #looking = new Map<string, Promise<void>>()

  constructor(context: FsContext, integrity: Integrity, partials: Partials, lifetime: Lifetime) {
    this.#context = context
    this.#integrity = integrity
    this.#partials = partials
    this.#lifetime = lifetime
  }

  /** Looks at a blob of which somebody says that it is damaged. One look serves all who say so meanwhile: it reads all of it. */
  async report(hash: Hash): Promise<void> {
    const key = hash.toString()
    let looking = this.#looking.get(key)
    if (looking === undefined) {
      looking = this.#lifetime
        .run(undefined, signal => this.#look(hash, signal))
        .finally(() => this.#looking.delete(key))
      this.#looking.set(key, looking)
    }
    await looking
  }

  async #look(hash: Hash, signal: AbortSignal): Promise<void> {
    const { layout } = this.#context
    const isPartial = findComplete(layout, hash) === undefined
    if (isPartial && (await this.#mendPartial(hash, signal))) return
    // It may have become complete while it was looked at.
    const found = findComplete(layout, hash)
    if (found !== undefined) await this.#mendComplete(hash, found, signal)
  }

  async #mendComplete(hash: Hash, found: FoundComplete, signal: AbortSignal): Promise<void> {
    const { layout, mutex, notice } = this.#context
    if (await this.#integrity.mend(hash, found)) return
    const files = found.hasOutboard ? await openComplete(this.#context, hash, found) : undefined
    const right = files === undefined ? ChunkRanges.empty : await this.#proven(files, signal)
    await mutex.run(hash.toString(), async () => {
      // Somebody may have put a good one in its place.
      if (findComplete(layout, hash)?.version !== found.version) return
      this.#integrity.forget(hash)
      if (isWhole(right, found.size)) return
      const what = `cannot take back what is wrong of ${layout.data(hash)}`
      if (
        !right.isEmpty &&
        (await explained(what, () => makePartial(this.#context, hash, found.size, right)))
      ) {
        notice(wrongGroupsNotice(hash, found.size, wholeRange(found.size).subtract(right)))
      } else await this.#setAside(hash)
    })
  }

  async #setAside(hash: Hash): Promise<void> {
    const { layout, notice } = this.#context
    await explained(`cannot set aside ${layout.data(hash)}`, async () => {
      await rename(layout.data(hash), layout.setAside(hash))
      await rm(layout.outboard(hash), { force: true })
    })
    notice(
      `blob ${hash} is damaged; what there was of it is in ${layout.setAside(hash)}; add or fetch it again`
    )
  }

  /** @returns false when the blob is partial no longer */
  async #mendPartial(hash: Hash, signal: AbortSignal): Promise<boolean> {
    const opened = await untilStill(hash, async () => {
      const held = await this.#partials.look(hash)
      if (held === undefined || held === 'again' || held.state === 'complete') return held
      const files = await openPartial(this.#context, hash, held)
      return files === undefined ? 'again' : { state: 'open' as const, held, files }
    })
    if (opened === undefined) return true
    if (opened.state === 'complete') return false
    return await this.#dropWrong(opened.held, opened.files, signal)
  }

  async #dropWrong(held: Held, files: BlobFiles, signal: AbortSignal): Promise<boolean> {
    const wrong = held.ranges.subtract(await this.#proven(files, signal))
    if (wrong.isEmpty) return true
    const { hash, size } = files
    if (!(await this.#partials.drop(hash, held.identity, wrong))) return false
    this.#context.notice(wrongGroupsNotice(hash, size, wrong))
    return true
  }

  async #proven(files: BlobFiles, signal: AbortSignal): Promise<ChunkRanges> {
    await using reader = new FsReader(files)
    return await provenGroups(files.hash, reader, { signal })
  }
}
