/**
 * Tags: in the index, and as an object each, so that they come back when the index is lost.
 *
 * The object is written, or deleted, before the row: what the index says is also in the storage. Where the index may not know
 * all of them, a tag that it does not know is looked for in the storage, so that nobody takes its name for a free one.
 */
import { Hash } from '../../hash.ts'
import { TagNotFoundError } from '../errors.ts'
import type { BlobFormat, HashAndFormat, Tag, TagQuery, TagStore } from '../index.ts'
import type { Lifetime } from '../lifetime.ts'
import { checkTagName } from '../tag-names.ts'
import type { ObjectContext } from './context.ts'
import { tagKey } from './layout.ts'
import { readInto } from './read-into.ts'
import { ObjectNotFoundError } from './storage/errors.ts'

/** Rows that are read at a time. */
const PAGE = 100

/** What is in a tag's object. */
interface Content {
  readonly name: string
  readonly hash: string
  readonly format: BlobFormat
}

/** Longest object that is taken for a tag, in bytes: names have at most 1024, which JSON may write with six characters each. */
export const MAX_TAG_BYTES = 8192

export class ObjectTags implements TagStore {
  readonly #context: ObjectContext
  readonly #lifetime: Lifetime
  readonly #mayBeElsewhere: () => boolean

  /** @param mayBeElsewhere whether the storage may have tags that the index does not know */
  constructor(context: ObjectContext, lifetime: Lifetime, mayBeElsewhere: () => boolean) {
    this.#context = context
    this.#lifetime = lifetime
    this.#mayBeElsewhere = mayBeElsewhere
  }

  async set(name: string, { hash, format }: HashAndFormat): Promise<void> {
    this.#lifetime.check()
    checkTagName(name)
    const key = tagKey(name)
    await this.#exclusively(key, async signal => {
      await this.#context.storage.put(key, [encodeTag({ name, hash, format })], { signal })
      this.#context.metadata.setTag({ name, hash, format })
    })
  }

  async get(name: string): Promise<Tag | undefined> {
    return await this.#lifetime.run(undefined, signal => this.#find(name, signal))
  }

  async *list({ prefix, from, to, signal }: TagQuery = {}): AsyncGenerator<Tag> {
    let after: string | undefined
    for (;;) {
      this.#lifetime.check(signal)
      const tags = this.#context.metadata.listTags({ prefix, from, to, after, limit: PAGE })
      for (const tag of tags) {
        this.#lifetime.check(signal)
        yield tag
      }
      after = tags.at(-1)?.name
      if (tags.length < PAGE) return
    }
  }

  /** A process that is killed amid this leaves both names; so does who gives the old name to something else meanwhile. */
  async rename(from: string, to: string): Promise<void> {
    checkTagName(to)
    const tag = await this.get(from)
    if (tag === undefined) throw new TagNotFoundError(from)
    if (from === to) return
    await this.set(to, tag)
    await this.#exclusively(tagKey(from), async signal => {
      const now = await this.#find(from, signal)
      if (now === undefined || !now.hash.equals(tag.hash) || now.format !== tag.format) return
      await this.#delete(from, signal)
    })
  }

  async delete(name: string): Promise<boolean> {
    this.#lifetime.check()
    const key = tagKey(name)
    return await this.#exclusively(key, async signal => {
      if ((await this.#find(name, signal)) === undefined) return false
      await this.#delete(name, signal)
      return true
    })
  }

  async #delete(name: string, signal: AbortSignal): Promise<void> {
    await this.#context.storage.delete([tagKey(name)], { signal })
    this.#context.metadata.deleteTag(name)
  }

  async #find(name: string, signal: AbortSignal): Promise<Tag | undefined> {
    const known = this.#context.metadata.getTag(name)
    if (known !== undefined || !this.#mayBeElsewhere()) return known
    const key = tagKey(name)
    const stored = await this.#context.storage.stat(key, { signal })
    return stored === undefined ? undefined : await readTag(this.#context, key, stored.size, signal)
  }

  async #exclusively<T>(key: string, action: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return await this.#lifetime.run(undefined, signal => this.#context.mutex.run(key, () => action(signal)))
  }
}

export function encodeTag({ name, hash, format }: Tag): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify({ name, hash: hash.toString(), format })}\n`)
}

/** @returns undefined when it is not what {@link encodeTag} makes */
export function decodeTag(bytes: Uint8Array): Tag | undefined {
  try {
    const content: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    if (!isContent(content)) return undefined
    checkTagName(content.name)
    return { ...content, hash: Hash.parse(content.hash) }
  } catch {
    // Whatever is wrong with it, it is no tag.
    return undefined
  }
}

/** By hand: zod takes several MiB of memory in a process that needs it for nothing else. */
function isContent(value: unknown): value is Content {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== 3) return false
  const { name, hash, format }: { [key in keyof Content]?: unknown } = value
  return typeof name === 'string' && typeof hash === 'string' && (format === 'raw' || format === 'hash_seq')
}

/** @returns undefined when it is not the tag that the key is for, or gone */
export async function readTag(
  { storage }: ObjectContext,
  key: string,
  size: number,
  signal: AbortSignal | undefined
): Promise<Tag | undefined> {
  if (size > MAX_TAG_BYTES) return undefined
  const bytes = new Uint8Array(size)
  try {
    await readInto(storage, key, 0, bytes, signal)
  } catch (error) {
    // Whoever asks what there is now finds out whether it is shorter, or the storage fails.
    if (error instanceof ObjectNotFoundError) return undefined
    if ((await storage.stat(key, { signal }))?.size !== size) return undefined
    throw error
  }
  const tag = decodeTag(bytes)
  return tag !== undefined && tagKey(tag.name) === key ? tag : undefined
}
