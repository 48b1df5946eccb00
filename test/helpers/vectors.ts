/** The golden vectors: responses of a real iroh node (protocol/vectors/README.md). */
import { readFileSync } from 'node:fs'
import type { BlobStore } from '../../src/store/index.ts'
import { MemoryStore } from '../../src/store/memory/index.ts'
import { vectorData } from './data.ts'

export interface VectorCase {
  readonly name: string
  readonly request: string
  readonly response: { readonly length: number; readonly blake3: string }
}

interface VectorFile {
  readonly bodies: Record<string, string>
}

export interface BlobVectors extends VectorFile {
  readonly blobs: readonly {
    readonly size: number
    readonly hash: string
    readonly cases: readonly VectorCase[]
  }[]
}

export interface HashSeqVectors extends VectorFile {
  readonly children: readonly { readonly size: number; readonly hash: string }[]
  readonly roots: Record<string, { readonly hash: string; readonly hex: string }>
  readonly cases: readonly VectorCase[]
}

export interface CollectionVectors extends VectorFile {
  readonly collections: readonly {
    readonly entries: readonly { readonly name: string; readonly size: number; readonly hash: string }[]
    readonly hash: string
    readonly root: string
    readonly meta: string
    readonly cases: readonly VectorCase[]
  }[]
}

export interface ErrorVectors extends VectorFile {
  readonly hash: string
  readonly size: number
  readonly cases: readonly VectorCase[]
}

export function readVectors<T extends VectorFile>(name: string): T {
  return JSON.parse(
    readFileSync(new URL(`../../protocol/vectors/${name}.json`, import.meta.url), 'utf8')
  ) as T
}

/** A store with every blob that the vectors speak of. */
export async function vectorStore(store: BlobStore = new MemoryStore()): Promise<BlobStore> {
  const sequences = readVectors<HashSeqVectors>('hashseq')
  const { collections } = readVectors<CollectionVectors>('collections')
  const sizes = new Set([
    ...readVectors<BlobVectors>('blobs').blobs.map(blob => blob.size),
    ...sequences.children.map(child => child.size),
    ...collections.flatMap(collection => collection.entries.map(entry => entry.size)),
    readVectors<ErrorVectors>('errors').size
  ])
  for (const size of sizes) await store.addBytes(vectorData(size))
  const roots = Object.values(sequences.roots).map(root => root.hex)
  for (const hex of [...roots, ...collections.flatMap(({ root, meta }) => [root, meta])]) {
    await store.addBytes(Buffer.from(hex, 'hex'))
  }
  return store
}
