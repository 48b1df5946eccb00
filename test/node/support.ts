/** Folders, trees of files, and nodes for the tests of what is ready to use. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { type BlobsNode, createNode, type NodeOptions } from '../../src/node/create-node.ts'
import { encodeCollectionMeta } from '../../src/protocol/collection.ts'
import { HashSequence } from '../../src/protocol/hash-sequence.ts'
import type { AddResult, BlobStore } from '../../src/store/index.ts'

/** A folder that is removed with all that is in it. */
export interface Scratch extends AsyncDisposable {
  readonly path: string
  in(...names: string[]): string
}

export async function scratch(): Promise<Scratch> {
  const path = await mkdtemp(join(tmpdir(), 'blobs-test-'))
  return {
    path,
    in: (...names) => join(path, ...names),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true })
  }
}

/** Files by their path below a folder, with `/`. */
export type Tree = Readonly<Record<string, Uint8Array | string>>

export async function writeTree(folder: string, tree: Tree): Promise<void> {
  for (const [name, content] of Object.entries(tree)) {
    const path = join(folder, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, content)
  }
}

/**
 * What is not the same below a folder and in a tree: names of files that are missing, too many or of other content. Hidden
 * files count. Contents are compared as a whole, since matchers take seconds for megabytes.
 */
export async function differences(folder: string, tree: Tree): Promise<string[]> {
  const different = new Set(Object.keys(tree))
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue
    const path = join(entry.parentPath, entry.name)
    const name = relative(folder, path).replaceAll('\\', '/')
    const expected = tree[name]
    if (expected !== undefined && (await readFile(path)).equals(Buffer.from(expected))) different.delete(name)
    else different.add(name)
  }
  return [...different]
}

/** A node on this machine alone. */
export async function localNode(options: NodeOptions): Promise<BlobsNode> {
  return await createNode({ listen: ['/ip4/127.0.0.1/tcp/0'], ...options })
}

/** A collection as a stranger may make it, whatever its names are. */
export async function strangersCollection(
  store: BlobStore,
  files: readonly (readonly [name: string, content: Uint8Array | string])[]
): Promise<AddResult> {
  const children: AddResult[] = []
  for (const [, content] of files) children.push(await store.addBytes(Buffer.from(content)))
  const meta = await store.addBytes(encodeCollectionMeta(files.map(([name]) => name)))
  return await store.addBytes(HashSequence.fromHashes([meta, ...children].map(({ hash }) => hash)).bytes)
}
