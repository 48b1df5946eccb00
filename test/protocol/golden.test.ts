/** Every golden response, byte for byte: what we send, and what we make of it. */
import { createHash } from 'blake3-wasm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { receive } from '../../src/protocol/receive.ts'
import { decodeRequest } from '../../src/protocol/request.ts'
import { respond } from '../../src/protocol/respond.ts'
import { storeSink } from '../../src/protocol/store-sink.ts'
import type { BlobStore } from '../../src/store/index.ts'
import { STORE_NAMES, Stores } from '../helpers/stores.ts'
import {
  type BlobVectors,
  type CollectionVectors,
  type ErrorVectors,
  type HashSeqVectors,
  readVectors,
  type VectorCase,
  vectorStore
} from '../helpers/vectors.ts'

const files = {
  blobs: readVectors<BlobVectors>('blobs'),
  hashseq: readVectors<HashSeqVectors>('hashseq'),
  collections: readVectors<CollectionVectors>('collections'),
  errors: readVectors<ErrorVectors>('errors')
}

interface Case {
  readonly title: string
  readonly vector: VectorCase
  readonly bodies: Record<string, string>
}

const titled = (cases: readonly VectorCase[], what: string, bodies: Record<string, string>): Case[] =>
  cases.map(vector => ({ title: `${what}: ${vector.name}`, vector, bodies }))

const blobs = files.blobs.blobs.flatMap(({ size, cases }) =>
  titled(cases, `${size} bytes`, files.blobs.bodies)
)
const sequences = titled(files.hashseq.cases, 'hash sequence', files.hashseq.bodies)
const collections = files.collections.collections.flatMap(({ hash, cases }) =>
  titled(cases, `collection ${hash.slice(0, 8)}`, files.collections.bodies)
)
const odd = titled(files.errors.cases, 'odd request', files.errors.bodies)

const stores = new Stores()
let store: BlobStore
beforeAll(async () => {
  store = await vectorStore()
})

afterAll(async () => {
  await stores.close()
})

describe.each(STORE_NAMES)('the response to every golden request, out of %s', name => {
  beforeAll(async () => {
    store = await vectorStore(await stores.make(name))
  })

  it.each([...blobs, ...sequences, ...collections, ...odd])('$title', async ({ vector, bodies }) => {
    const response = await answer(vector.request, store)
    expect(response.length).toBe(vector.response.length)
    expect(createHash().update(response).digest('hex')).toBe(vector.response.blake3)
    const body = bodies[vector.response.blake3]
    if (body !== undefined) expect(Buffer.from(response).toString('hex')).toBe(body)
  })
})

describe.each(STORE_NAMES)(
  'every golden response of whole blobs, received into %s, can be served on',
  name => {
    const whole = [...blobs, ...sequences, ...collections].filter(({ vector }) => {
      const request = decodeRequest(Buffer.from(vector.request, 'hex'))
      return (
        request.type === 'get' &&
        vector.name !== 'missingChild' &&
        request.ranges.at(0).isAll &&
        [...request.ranges].every(([, , ranges]) => ranges.isAll)
      )
    })

    it.each(whole)('$title', async ({ vector }) => {
      const response = await answer(vector.request, store)
      const into = await stores.make(name)
      await receiveInto(into, vector.request, response)
      expect(Buffer.compare(await answer(vector.request, into), response)).toBe(0)
    })

    it('ends with an error that names the child that the provider lacks, and keeps what came before', async () => {
      const { vector } = sequences.find(({ vector }) => vector.name === 'missingChild')!
      const into = await stores.make(name)
      const response = await answer(vector.request, store)
      await expect(receiveInto(into, vector.request, response)).rejects.toThrow('does not have blob bf114fb1')
      expect(Buffer.compare(await answer(vector.request, into), response)).toBe(0)
    })
  }
)

async function answer(request: string, from: BlobStore): Promise<Uint8Array> {
  return Buffer.concat(await Array.fromAsync(respond([Buffer.from(request, 'hex')], from)))
}

async function receiveInto(into: BlobStore, hex: string, response: Uint8Array): Promise<void> {
  const request = decodeRequest(Buffer.from(hex, 'hex'))
  if (request.type !== 'get') throw new Error(`expected a Get, got ${request.type}`)
  const bytes = async function* () {
    yield response
  }
  await Array.fromAsync(receive(request, bytes(), storeSink(into)))
}
