/**
 * What is done about a blob that is said to be damaged. What can be mended is; what is wrong is set aside, and never deleted; what is
 * right stays, as a partial blob.
 */
import type { ChunkRanges } from '../../bao/ranges.ts'
import { EMPTY_HASH, type Hash } from '../../hash.ts'
import type { Lifetime } from '../lifetime.ts'
import { wholeRange } from '../status.ts'
import { abortable } from '../waiting.ts'
import { wrongGroupsNotice } from '../wrong-groups.ts'
import type { Arrivals } from './arrivals.ts'
import type { ObjectContext } from './context.ts'
import { checkData, isFragmentRight, setFragmentAside } from './damage.ts'
import { parseFragment } from './fragment-name.ts'
import { dataKey, hasOutboard, outboardKey, partialPrefix } from './layout.ts'
import { isRightLength } from './lookup.ts'
import { setAsideAndKeepRight } from './salvage.ts'
import type { ObjectInfo } from './storage/index.ts'

export class Mending {
  readonly #context: ObjectContext
  readonly #arrivals: Arrivals
  readonly #lifetime: Lifetime
  /** Blobs that are being looked at. */
  readonly #looking = new Map<string, Promise<void>>()

  constructor(context: ObjectContext, arrivals: Arrivals, lifetime: Lifetime) {
    this.#context = context
    this.#arrivals = arrivals
    this.#lifetime = lifetime
  }

  /**
   * Looks at a blob of which somebody says that it is damaged. One look serves all who say so meanwhile: it reads all of it.
   *
   * @throws the signal's reason when it aborts before the look has ended
   */
  async report(hash: Hash, signal: AbortSignal): Promise<void> {
    if (hash.equals(EMPTY_HASH) || this.#context.leaveAsIs === true) return
    const key = hash.toString()
    let looking = this.#looking.get(key)
    if (looking === undefined) {
      looking = this.#lifetime
        .run(undefined, ending => this.#look(hash, ending))
        .finally(() => this.#looking.delete(key))
      this.#looking.set(key, looking)
    }
    await abortable(looking, signal)
  }

  async #look(hash: Hash, signal: AbortSignal): Promise<void> {
    const look = async (): Promise<void> => {
      const { metadata, cache } = this.#context
      const row = metadata.find(hash)
      cache.forget(outboardKey(hash))
      if (row?.state === 'complete') await this.#mendComplete(hash, row.size, signal)
      else if (row !== undefined) await this.#mendPartial(hash, signal)
      this.#context.changed(hash)
    }
    await this.#arrivals.exclusively(hash, look, signal)
  }

  async #mendComplete(hash: Hash, size: number, signal: AbortSignal): Promise<void> {
    const { metadata, storage } = this.#context
    const stored = await storage.stat(dataKey(hash), { signal })
    const state =
      stored === undefined ? 'gone' : await checkData(this.#context, hash, stored.size, { signal })
    if (state === 'gone') {
      metadata.forget(hash)
      this.#context.notice(
        `the data of blob ${hash} is gone from ${storage.name}; add or fetch the blob again`
      )
    } else if (state === 'wrong') {
      await this.#keepRight(hash, size, stored!.size, signal)
    } else if (stored!.size !== size) {
      metadata.markComplete(hash, { size: stored!.size, hasOutboard: hasOutboard(stored!.size) })
    }
    if (state === 'mended') {
      this.#context.notice(
        `the outboard of blob ${hash} was damaged; it has been computed anew from the data`
      )
    }
  }

  async #keepRight(hash: Hash, size: number, storedBytes: number, signal: AbortSignal): Promise<void> {
    const { storage, notice } = this.#context
    const options = { knownSize: size, storedBytes, signal }
    const { to, right } = await setAsideAndKeepRight(this.#context, this.#arrivals, hash, options)
    const where = to === undefined ? 'it is gone now' : `it is now ${to} in ${storage.name}`
    notice(`the data of blob ${hash} does not have this hash; ${where}; ${whatIsLeft(hash, size, right)}`)
  }

  /** Sets the wrong fragments aside. The others stay, unless somebody is adding to them at this moment. */
  async #mendPartial(hash: Hash, signal: AbortSignal): Promise<void> {
    const { metadata, storage } = this.#context
    await this.#arrivals.abandon(hash)
    for (const name of metadata.fragments(hash)) {
      const key = `${partialPrefix(hash)}${name}`
      const isRight = await this.#isFragmentRight(hash, name, await storage.stat(key, { signal }), signal)
      if (isRight) continue
      metadata.dropFragments(hash, [name])
      if (isRight === undefined) continue
      const to = await setFragmentAside(this.#context, hash, name)
      if (to === undefined) continue
      this.#context.notice(
        `a part of blob ${hash} is wrong; it is now ${to} in ${storage.name}; fetch the blob again`
      )
    }
  }

  /** @returns undefined when it is gone */
  async #isFragmentRight(
    hash: Hash,
    name: string,
    stored: ObjectInfo | undefined,
    signal: AbortSignal
  ): Promise<boolean | undefined> {
    if (stored === undefined) return undefined
    const fragment = parseFragment(name)
    if (fragment === undefined || !isRightLength(fragment, stored.size)) return false
    return await isFragmentRight(this.#context, hash, fragment, { signal })
  }
}

function whatIsLeft(hash: Hash, size: number, right: ChunkRanges): string {
  if (right.isEmpty) return 'add or fetch the blob again'
  const wrong = wholeRange(size).subtract(right)
  return wrong.isEmpty ? 'all of the blob was in it, and is kept' : wrongGroupsNotice(hash, size, wrong)
}
