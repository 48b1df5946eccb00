/** Tags in memory. */
import { TagNotFoundError } from '../errors.ts'
import type { HashAndFormat, Tag, TagQuery, TagStore } from '../index.ts'
import type { Lifetime } from '../lifetime.ts'
import { checkTagName, compareTagNames, tagFilter } from '../tag-names.ts'

export class MemoryTags implements TagStore {
  readonly #tags = new Map<string, Tag>()
  readonly #lifetime: Lifetime
  readonly #onSet: (tag: Tag) => void

  constructor(lifetime: Lifetime, onSet: (tag: Tag) => void) {
    this.#lifetime = lifetime
    this.#onSet = onSet
  }

  /** All of them, in no order. */
  all(): Iterable<Tag> {
    return this.#tags.values()
  }

  async set(name: string, { hash, format }: HashAndFormat): Promise<void> {
    this.#lifetime.check()
    checkTagName(name)
    this.#set({ name, hash, format })
  }

  async get(name: string): Promise<Tag | undefined> {
    this.#lifetime.check()
    return this.#tags.get(name)
  }

  async *list(options: TagQuery = {}): AsyncGenerator<Tag> {
    this.#lifetime.check(options.signal)
    const names = [...this.#tags.keys()].filter(tagFilter(options)).sort(compareTagNames)
    for (const name of names) {
      this.#lifetime.check(options.signal)
      const tag = this.#tags.get(name)
      if (tag !== undefined) yield tag
    }
  }

  async rename(from: string, to: string): Promise<void> {
    this.#lifetime.check()
    checkTagName(to)
    const tag = this.#tags.get(from)
    if (tag === undefined) throw new TagNotFoundError(from)
    this.#tags.delete(from)
    this.#set({ ...tag, name: to })
  }

  async delete(name: string): Promise<boolean> {
    this.#lifetime.check()
    return this.#tags.delete(name)
  }

  #set(tag: Tag): void {
    this.#tags.set(tag.name, tag)
    this.#onSet(tag)
  }
}
