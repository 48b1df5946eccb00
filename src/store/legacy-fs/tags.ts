/**
 * Tags: one file each, named after the hash of the tag's name, so that any name will do on any file system.
 *
 * A file has two lines: JSON with the name, the hash and the format, and the JSON's BLAKE3 hash.
 */
import { open, opendir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { hashBytes } from '../../bao/outboard.ts'
import { Hash } from '../../hash.ts'
import { Breather } from '../breather.ts'
import { GarbageUnknownError, TagNotFoundError } from '../errors.ts'
import { FolderSync } from '../folder-sync.ts'
import { explained, isNotFound } from '../fs-errors.ts'
import type { HashAndFormat, Tag, TagQuery, TagStore, WaitOptions } from '../index.ts'
import type { Lifetime } from '../lifetime.ts'
import type { Limiter } from '../limiter.ts'
import { sortInTurns } from '../sort-in-turns.ts'
import { checkTagName, compareTagNames, tagFilter } from '../tag-names.ts'
import type { FsContext } from './context.ts'
import type { FsLeases } from './leases.ts'

const END = '.tag'

/** Entries of the folder that are read at once. */
const ENTRIES = 1024

/** Files that are read at the same time. */
const READS = 32

interface Content extends Pick<Tag, 'name' | 'format'> {
  readonly version: 1
  /** 64 hexadecimal digits. */
  readonly hash: string
}

export class FsTags implements TagStore {
  readonly #context: FsContext
  readonly #lifetime: Lifetime
  readonly #limiter: Limiter
  readonly #leases: FsLeases
  readonly #folderSync: FolderSync

  constructor(context: FsContext, lifetime: Lifetime, limiter: Limiter, leases: FsLeases) {
    this.#context = context
    this.#lifetime = lifetime
    this.#limiter = limiter
    this.#leases = leases
    this.#folderSync = new FolderSync(context.layout.tagFolder, context.isSynced)
  }

  async set(name: string, { hash, format }: HashAndFormat): Promise<void> {
    await this.#lifetime.run(undefined, async () => {
      checkTagName(name)
      const text = JSON.stringify({ version: 1, name, hash: hash.toString(), format })
      const write = () => this.#write(this.#path(name), `${text}\n${checksum(text)}\n`)
      await explained(`cannot write tag ${JSON.stringify(name)}`, () =>
        this.#limiter.run(() => this.#leases.during({ hash, format }, write))
      )
    })
  }

  async get(name: string): Promise<Tag | undefined> {
    return await this.#lifetime.run(undefined, () => this.#read(this.#path(name), this.#context.notice))
  }

  async *list(options: TagQuery = {}): AsyncGenerator<Tag> {
    yield* this.#list(options, this.#context.notice)
  }

  /** All tags, for who deletes what they do not hold. @throws GarbageUnknownError when one cannot be read */
  async *listForSweep(options: WaitOptions = {}): AsyncGenerator<Tag> {
    yield* this.#list(options, text => {
      throw new GarbageUnknownError(`nobody can tell what is garbage: ${text}`)
    })
  }

  async *#list(options: TagQuery, onDamaged: (text: string) => void): AsyncGenerator<Tag> {
    const { signal } = options
    const isAskedFor = tagFilter(options)
    this.#lifetime.check(signal)
    const folder = this.#context.layout.tagFolder
    const breather = new Breather(signal)
    const breathe = async (): Promise<void> => {
      await breather.breathe()
      this.#lifetime.check(signal)
    }
    const files: string[] = []
    const entries = await explained(`cannot list ${folder}`, () => opendir(folder, { bufferSize: ENTRIES }))
    for await (const { name } of entries) {
      await breathe()
      if (name.endsWith(END)) files.push(name)
    }
    const tags: Tag[] = []
    for (let i = 0; i < files.length; i += READS) {
      await breathe()
      const paths = files.slice(i, i + READS).map(name => join(folder, name))
      const some = await Promise.all(paths.map(path => this.#read(path, onDamaged)))
      for (const tag of some) if (tag !== undefined && isAskedFor(tag.name)) tags.push(tag)
    }
    for (const tag of await sortInTurns(tags, (a, b) => compareTagNames(a.name, b.name), breathe)) {
      await breathe()
      yield tag
    }
  }

  /** A process that is killed amid this leaves both names. */
  async rename(from: string, to: string): Promise<void> {
    checkTagName(to)
    const tag = await this.get(from)
    if (tag === undefined) throw new TagNotFoundError(from)
    if (from === to) return
    await this.set(to, tag)
    await this.delete(from)
  }

  async delete(name: string): Promise<boolean> {
    return await this.#lifetime.run(undefined, async () => {
      try {
        await explained(`cannot delete tag ${JSON.stringify(name)}`, () => rm(this.#path(name)))
      } catch (error) {
        if (error instanceof Error && isNotFound(error.cause)) return false
        throw error
      }
      await this.#folderSync.sync()
      return true
    })
  }

  #path(name: string): string {
    return join(this.#context.layout.tagFolder, `${checksum(name)}${END}`)
  }

  async #write(path: string, text: string): Promise<void> {
    const { temp, isSynced } = this.#context
    const tempPath = temp.newPath()
    try {
      const file = await open(tempPath, 'wx')
      try {
        await file.writeFile(text)
        if (isSynced) await file.datasync()
      } finally {
        await file.close()
      }
      await rename(tempPath, path)
    } catch (error) {
      await rm(tempPath, { force: true })
      throw error
    }
    await this.#folderSync.sync()
  }

  async #read(path: string, onDamaged: (text: string) => void): Promise<Tag | undefined> {
    let text: string
    try {
      text = await readFile(path, 'utf8')
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
    const tag = parse(text)
    if (tag === undefined || this.#path(tag.name) !== path) {
      onDamaged(`${path} is damaged, the tag in it is lost; set it again or remove the file`)
      return undefined
    }
    return tag
  }
}

function parse(text: string): Tag | undefined {
  const [json, sum] = text.split('\n')
  if (json === undefined || sum !== checksum(json)) return undefined
  const content: unknown = JSON.parse(json)
  return isContent(content)
    ? { name: content.name, hash: Hash.parse(content.hash), format: content.format }
    : undefined
}

/** By hand: zod takes 4 MiB of memory in a process that needs it for nothing else. */
function isContent(value: unknown): value is Content {
  if (typeof value !== 'object' || value === null) return false
  const { version, name, hash, format }: { [key in keyof Content]?: unknown } = value
  return (
    version === 1 &&
    typeof name === 'string' &&
    typeof hash === 'string' &&
    /^[0-9a-f]{64}$/.test(hash) &&
    (format === 'raw' || format === 'hash_seq')
  )
}

function checksum(text: string): string {
  return hashBytes(new TextEncoder().encode(text)).hash.toString()
}
