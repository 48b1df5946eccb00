/** Tags in memory. */
import type { HashAndFormat, Tag, TagStore, WaitOptions } from '../index.ts'
import type { Lifetime } from '../lifetime.ts'
import { checkTagName, compareTagNames } from '../tag-names.ts'

export class MemoryTags implements TagStore {
  readonly #tags = new Map<string, Tag>()
  readonly #lifetime: Lifetime

  constructor(lifetime: Lifetime) {
    this.#lifetime = lifetime
  }

  async set(name: string, { hash, format }: HashAndFormat): Promise<void> {
    this.#lifetime.check()
    checkTagName(name)
    this.#tags.set(name, { name, hash, format })
  }

  async get(name: string): Promise<Tag | undefined> {
    this.#lifetime.check()
    return this.#tags.get(name)
  }

  async *list(options: { readonly prefix?: string | undefined } & WaitOptions = {}): AsyncGenerator<Tag> {
    this.#lifetime.check(options.signal)
    const prefix = options.prefix ?? ''
    const names = [...this.#tags.keys()].filter(name => name.startsWith(prefix)).sort(compareTagNames)
    for (const name of names) {
      this.#lifetime.check(options.signal)
      const tag = this.#tags.get(name)
      if (tag !== undefined) yield tag
    }
  }

  async delete(name: string): Promise<boolean> {
    this.#lifetime.check()
    return this.#tags.delete(name)
  }
}
