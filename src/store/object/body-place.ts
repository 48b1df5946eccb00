/**
 * Writes what arrives to its place in a body, at once. A fragment that says so follows when it is on disk, and has the outboard's
 * nodes only; in the end the body gets the name of the data. So every byte is written once.
 */
import { GROUP_BYTES } from '../../bao/constants.ts'
import { Breather } from '../breather.ts'
import type { ObjectContext } from './context.ts'
import { type Fragment, formatFragment, newBody } from './fragment-name.ts'
import { Fragments } from './fragments.ts'
import { dataKey, partialPrefix } from './layout.ts'
import type { LivePart } from './live-part.ts'
import { listStored } from './lookup.ts'
import type { Place, PlaceOwner } from './place.ts'
import { ObjectNotFoundError } from './storage/errors.ts'
import type { ObjectStorage } from './storage/index.ts'
import type { GrowingObject, LocalFiles } from './storage/local-files.ts'

export interface OpenBody {
  readonly id: string
  readonly file: GrowingObject
  /** Whether it was begun just now: no fragment says anything of it. */
  readonly isNew: boolean
}

/**
 * Opens the body that has most of a blob, to go on with it, or begins one.
 *
 * @throws ObjectNotFoundError when the body that fragments name is gone, or is shorter than they say
 */
export async function openBody(
  storage: ObjectStorage,
  files: LocalFiles,
  fragments: Fragments
): Promise<OpenBody> {
  const { bodies } = fragments
  const stored = bodies.length === 0 ? fragments : await listFragments(storage, fragments)
  for (const body of bodies) {
    const key = fragments.bodyKey(body)
    // Asked after the fragments were listed: others may be at it, and the body is longer before a fragment says so.
    const bytes = (await storage.stat(key))?.size ?? 0
    if (bytes < fragments.endInBody(body)) throw new ObjectNotFoundError(key, storage.name)
    // One that was cut off, written to further, would look as if all were there: also to who finds a fragment that we know to say
    // too much. So it stays as it is.
    if (bytes >= stored.endInBody(body)) return { id: body, file: await files.resume(key), isNew: false }
  }
  return { id: newBody(), file: await files.begin(), isNew: true }
}

/** All that are in the storage, whether or not what they say is there. */
async function listFragments(storage: ObjectStorage, { hash, size }: Fragments): Promise<Fragments> {
  const prefix = partialPrefix(hash)
  const names: string[] = []
  const breather = new Breather(undefined)
  for await (const { key } of storage.list({ prefix })) {
    names.push(key.slice(prefix.length))
    await breather.breathe()
  }
  return new Fragments(hash, size, names)
}

export class BodyPlace implements Place {
  readonly body: string
  readonly #context: ObjectContext
  readonly #fragments: Fragments
  readonly #owner: PlaceOwner
  readonly #file: GrowingObject
  /** Whether a fragment says that it is there. */
  #isKnown: boolean
  #isSaved = false
  #isClosed = false

  constructor(
    context: ObjectContext,
    fragments: Fragments,
    owner: PlaceOwner,
    { id, file, isNew }: OpenBody
  ) {
    this.#context = context
    this.#fragments = fragments
    this.#owner = owner
    this.body = id
    this.#file = file
    this.#isKnown = !isNew
  }

  async keep(_part: LivePart, first: number, pieces: readonly Uint8Array[]): Promise<boolean> {
    this.#owner.check()
    await this.#file.write(pieces, first * GROUP_BYTES)
    this.#owner.check()
    return !this.#owner.isComplete()
  }

  async read(_part: LivePart, offset: number, target: Uint8Array): Promise<boolean> {
    if (this.#isClosed) return false
    await this.#file.read(offset, target)
    return true
  }

  async put(_part: LivePart, _fragment: Fragment, key: string, nodes: readonly Uint8Array[]): Promise<void> {
    this.#isSaved = true
    await this.#file.save(this.#key, { key, pieces: nodes })
    this.#isKnown = true
  }

  async gather(part: LivePart, fragments: readonly Fragment[]): Promise<void> {
    for (const fragment of fragments) {
      if (fragment.body === this.body) {
        await this.#checkThere(fragment)
        continue
      }
      const key = this.#fragments.dataKeyOf(fragment)
      let at = 0
      for (const span of fragment.spans) {
        const length = this.#fragments.parts.bytesOf(span)
        const start = span.from * GROUP_BYTES
        const offset = fragment.body === undefined ? at : start
        await this.#file.copy({ key, offset, length }, start, { signal: this.#owner.over })
        at += length
      }
      part.markKept(fragment.spans)
    }
  }

  onWhole(): void {
    // It is where it is to be.
  }

  onLost(): void {
    // What was lost has been taken back: it is written anew.
  }

  drop(): void {
    // It takes no memory.
  }

  async complete(signal: AbortSignal | undefined): Promise<void> {
    const { hash, size, parts } = this.#fragments
    // Somebody who has found a part to be wrong has taken the fragment away that said it was there.
    const stored = await listStored(this.#context, hash, signal)
    const there = new Set(stored.fragments.map(formatFragment))
    for (let part = 0; part < parts.count; part++) {
      const fragment = { size, spans: [parts.groupsOf(part)], body: this.body }
      if (there.has(formatFragment(fragment))) continue
      throw new ObjectNotFoundError(this.#fragments.keyOf(fragment), this.#context.storage.name)
    }
    await this.#context.storage.move(this.#key, dataKey(hash), { signal })
  }

  async settle(): Promise<void> {
    // Nothing goes on that the arrival does not wait for.
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#file.close()
    // On a full disk there may be room for a body, and none for a fragment: nobody would ever go on with it, or delete it. What cannot
    // be deleted now is found by a recovery.
    if (this.#isSaved && !this.#isKnown)
      await this.#context.storage.delete([this.#key]).catch(() => undefined)
  }

  /** Whoever has found what a fragment says to be wrong has set it aside: another one must not say it again. */
  async #checkThere(fragment: Fragment): Promise<void> {
    const { storage } = this.#context
    const key = this.#fragments.keyOf(fragment)
    if ((await storage.stat(key)) === undefined) throw new ObjectNotFoundError(key, storage.name)
  }

  get #key(): string {
    return this.#fragments.bodyKey(this.body)
  }
}
