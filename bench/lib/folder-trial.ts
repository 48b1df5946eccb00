/** A folder from one process to another, as one collection: what is measured, whoever does it. */
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { endChild, messageFrom, type ProcessCost, startChild } from './child.ts'

/** What the process says that has added the folder. */
export interface Added {
  readonly seconds: number
  readonly cost: ProcessCost
  readonly hash: string
  /** Where it can be reached; for the other process only. */
  readonly address: string
}

/** What the process says that has fetched it. */
export interface Fetched {
  readonly seconds: number
  readonly cost: ProcessCost
  /** Blobs in the store: of the files, and those that make the collection. */
  readonly blobs: number
}

export interface FolderSample {
  readonly added: Added
  readonly fetched: Fetched
}

export interface FolderOptions {
  readonly folder: string
  /**
   * Where the stores are made. Each measurement has new ones, and the caller removes them after the last: for minutes after
   * many files were deleted, ext4 is slow to make new ones.
   */
  readonly dir: string
  /** More for the process that fetches. */
  readonly getArgs?: readonly string[]
  /** Folder for CPU profiles. */
  readonly profile?: string | undefined
}

/** @param script the program that both processes run */
export async function measureFolder(script: string, options: FolderOptions): Promise<FolderSample> {
  const { folder, profile } = options
  const execArgv = (half: string) =>
    profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}/${half}`]
  const dir = await mkdtemp(join(options.dir, 'stores-'))
  const provider = startChild(script, ['provide', join(dir, 'provider'), folder], execArgv('provider'))
  try {
    const added = await messageFrom<Added>(provider)
    const args = ['get', join(dir, 'getter'), added.hash, added.address, ...(options.getArgs ?? [])]
    const getter = startChild(script, args, execArgv('getter'))
    try {
      return { added, fetched: await messageFrom<Fetched>(getter) }
    } finally {
      await endChild(getter)
    }
  } finally {
    await endChild(provider)
  }
}
