/** What `bench/add.ts` measures, each in a process of its own. Also the program that these processes run. */
import { existsSync } from 'node:fs'
import { copyFile, mkdir, open } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Crew } from '../../dist/store/hash-pool/crew.js'
import { hashWith } from '../../dist/store/hash-pool/hash-file.js'
import { InputFile } from '../../dist/store/input-file.js'
import { LegacyFsStore } from '../../dist/store/legacy-fs/index.js'
import { ObjectStore } from '../../dist/store/object/index.js'
import { OutboardSpool } from '../../dist/store/outboard-spool.js'
import { endWithParent } from './child.ts'
import { Meter, type Spent } from './meter.ts'

export interface AddSample extends Spent {
  readonly mbPerSecond: number
}

/** What to do with the file `path`. `dir` is not there yet. @returns what is to be measured */
type Prepare = (path: string, dir: string) => Promise<() => Promise<unknown>>

const PREPARATIONS = {
  'copy and fsync': async (path, dir) => {
    await mkdir(dir)
    return async () => {
      await copyFile(path, join(dir, 'copy'))
      await using copy = await open(join(dir, 'copy'), 'r+')
      await copy.sync()
    }
  },
  'add to legacy-fs': async (path, dir) => {
    const store = await LegacyFsStore.open(dir)
    return async () => await store.addPath(path)
  },
  'add to legacy-fs, sync none': async (path, dir) => {
    const store = await LegacyFsStore.open(dir, { sync: 'none' })
    return async () => await store.addPath(path)
  },
  'add to the object store on a folder': async (path, dir) => {
    const store = await ObjectStore.local(dir)
    return async () => await store.addPath(path)
  },
  'add to iroh 0.35': prepareIroh,
  'hash on 1 thread': async path => await prepareHashing(path, 1),
  'hash on 2 threads': async path => await prepareHashing(path, 2)
} satisfies Record<string, Prepare>

export type AddTrial = keyof typeof PREPARATIONS
export const ADD_TRIALS = Object.keys(PREPARATIONS) as AddTrial[]

async function prepareHashing(path: string, threads: number): Promise<() => Promise<unknown>> {
  const crew = new Crew(() => undefined, threads)
  while (!crew.isReady) await sleep(5)
  const hash = async () => {
    await using file = await InputFile.open(path)
    const spool = OutboardSpool.inSystemFolder()
    await hashWith(crew, file, spool)
    await spool.close()
  }
  // The compiler has done its work after the first time.
  await hash()
  return hash
}

/** What is used of the package, which is installed only by who wants to compare. */
interface IrohPackage {
  readonly Iroh: { persistent(folder: string, options: object): Promise<IrohNode> }
  readonly SetTagOption: { auto(): object }
}

interface IrohNode {
  readonly blobs: {
    addFromPath(
      path: string,
      isInPlace: boolean,
      tag: object,
      wrap: { wrap: boolean },
      onProgress: (error: Error | null, progress: { allDone?: object } | undefined) => void
    ): Promise<void>
  }
}

const requirePeer = createRequire(new URL('../peers/package.json', import.meta.url))

export function isIrohInstalled(): boolean {
  return existsSync(new URL('../peers/node_modules/@number0/iroh/package.json', import.meta.url))
}

/** Nodes in use: one that nobody refers to is collected as garbage, and ends. */
const nodes: IrohNode[] = []

async function prepareIroh(path: string, dir: string): Promise<() => Promise<unknown>> {
  // Node tells of a mistake in the package's package.json.
  process.noDeprecation = true
  const { Iroh, SetTagOption }: IrohPackage = requirePeer('@number0/iroh')
  const node = await Iroh.persistent(dir, { nodeDiscovery: 'None', ipv4Addr: '127.0.0.1:0' })
  nodes.push(node)
  return async () => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const adding = node.blobs.addFromPath(
      path,
      false,
      SetTagOption.auto(),
      { wrap: false },
      (error, progress) => {
        if (error !== null) reject(error)
        else if (progress?.allDone !== undefined) resolve()
      }
    )
    await Promise.all([promise, adding])
  }
}

if (process.argv[1] === import.meta.filename && process.send !== undefined) {
  const [trial, path, dir, bytes] = process.argv.slice(2)
  endWithParent()
  // As bin/blobs.js does.
  process.env.UV_THREADPOOL_SIZE ??= '16'
  const prepare: Prepare = PREPARATIONS[trial as AddTrial]
  const run = await prepare(path!, dir!)
  const meter = new Meter()
  await run()
  const spent = meter.stop()
  const sample: AddSample = { ...spent, mbPerSecond: Number(bytes) / 1e6 / spent.seconds }
  process.send(sample)
}
