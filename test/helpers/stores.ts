/** Every store, for what has to work on all of them. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BlobStore } from '../../src/store/index.ts'
import { LegacyFsStore } from '../../src/store/legacy-fs/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { ObjectStore } from '../../src/store/object/index.ts'
import { type S3UnderTest, s3UnderTest } from './s3.ts'

export const STORE_NAMES = ['memory', 'legacy-fs', 'object: memory', 'object: folder', 'object: s3'] as const
export type StoreName = (typeof STORE_NAMES)[number]

/** Makes stores of a test file, and ends them all. */
export class Stores {
  readonly #stores: BlobStore[] = []
  #folder: Promise<string> | undefined
  #s3: Promise<S3UnderTest> | undefined

  /** A store without blobs. */
  async make(name: StoreName): Promise<BlobStore> {
    const store = await this.#make(name)
    this.#stores.push(store)
    return store
  }

  async close(): Promise<void> {
    for (const store of this.#stores) await store.close()
    await (await this.#s3)?.stop()
    if (this.#folder !== undefined) await rm(await this.#folder, { recursive: true })
  }

  async #make(name: StoreName): Promise<BlobStore> {
    switch (name) {
      case 'memory':
        return new MemoryStore()
      case 'legacy-fs':
        return await LegacyFsStore.open(await this.#path())
      case 'object: memory':
        return await ObjectStore.ephemeral()
      case 'object: folder':
        return await ObjectStore.local(await this.#path())
      case 'object: s3': {
        this.#s3 ??= s3UnderTest()
        const { endpoint, accessKey, secretKey, region, bucket, newPrefix } = await this.#s3
        const storage = {
          type: 's3',
          endpoint,
          accessKey,
          secretKey,
          region,
          bucket,
          prefix: newPrefix()
        } as const
        return await ObjectStore.open({ dbPath: `${await this.#path()}.db`, storage })
      }
    }
  }

  async #path(): Promise<string> {
    this.#folder ??= mkdtemp(join(tmpdir(), 'stores-'))
    return join(await this.#folder, randomBytes(6).toString('hex'))
  }
}
