/** The object store on an S3 server: the test server, or the one that `BLOBS_TEST_S3_URL` names. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ChunkRanges } from '../../../src/bao/ranges.ts'
import { testStore } from '../../../src/store/compliance/index.ts'
import { ObjectStore } from '../../../src/store/object/store.ts'
import { type S3UnderTest, s3UnderTest } from '../../helpers/s3.ts'
import { MIB, receive, sampleBlob, serve } from './support.ts'

let s3: S3UnderTest
let folder: string
let count = 0

beforeAll(async () => {
  s3 = await s3UnderTest()
  folder = await mkdtemp(join(tmpdir(), 's3-store-'))
})

afterAll(async () => {
  await s3?.stop()
  await rm(folder, { recursive: true, force: true })
})

const homes = new WeakMap<ObjectStore, { readonly dbPath: string; readonly prefix: string }>()

async function open(home: { dbPath: string; prefix: string }): Promise<ObjectStore> {
  const { endpoint, accessKey, secretKey, region, bucket } = s3
  const { dbPath, prefix } = home
  const store = await ObjectStore.open({
    dbPath,
    storage: { type: 's3', endpoint, accessKey, secretKey, region, bucket, prefix }
  })
  homes.set(store, home)
  return store
}

testStore(
  { describe, it: (name, body) => it(name, body, 60_000) },
  {
    name: 'ObjectStore (S3)',
    capabilities: { persistent: true, paths: true },
    setup: async () => await open({ dbPath: join(folder, `${count++}.db`), prefix: s3.newPrefix() }),
    reopen: async store => await open(homes.get(store)!),
    teardown: async store => {
      await store.close()
      expect(store.notices).toEqual([])
    }
  }
)

describe('a blob that arrives on S3', () => {
  // The first is composed at the end, of the second parts are put together before.
  for (const parts of [1, 7]) {
    it(`becomes complete when a small part comes behind ${parts} whole ones`, async () => {
      await using store = await open({ dbPath: join(folder, `${count++}.db`), prefix: s3.newPrefix() })
      const blob = sampleBlob(parts * 8 * MIB + 100_000)
      await receive(store, blob, ChunkRanges.all)
      expect(await store.status(blob.hash)).toEqual({ state: 'complete', size: blob.size })
      await serve(store, blob.hash)
    })
  }
})
