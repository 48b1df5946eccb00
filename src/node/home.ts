/** The home folder: identity, configuration and, unless configured elsewhere, the blobs of one node. */
import { chmod, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { exists } from '../store/folders.ts'
import { errorCode, explained } from '../store/fs-errors.ts'
import { makeFolder } from '../store/make-folder.ts'
import { configTemplate } from './config-template.ts'
import { CONFIG_FILE } from './load-config.ts'
import type { StoreInput } from './store-config.ts'

/** There is no home where one is needed. */
export class NoHomeError extends Error {
  override readonly name = 'NoHomeError'
  readonly code = 'ERR_NO_HOME'

  constructor(path: string) {
    super(`${path} is no home of blobs yet; make it one with: blobs init --home ${path}`)
  }
}

/** Whether there is a home. */
export async function isHome(path: string): Promise<boolean> {
  return await exists(join(path, CONFIG_FILE))
}

/** @throws NoHomeError */
export async function requireHome(path: string): Promise<void> {
  if (!(await isHome(path))) throw new NoHomeError(path)
}

/**
 * Makes a home, readable by its owner only, with a config file that shows every key and its default. Of two processes that
 * do so at the same time, both succeed.
 *
 * @param store what the config file says about the store, secrets included. Default: nothing, so that all defaults hold
 * @returns whether there was none before
 * @throws StoreError when it cannot be made
 */
export async function createHome(path: string, store?: StoreInput): Promise<boolean> {
  return await explained(`cannot make the home folder ${path}`, async () => {
    const made = makeFolder(resolve(path), 0o700)
    // The process's umask may have taken rights away from `mode`.
    if (made !== undefined) await chmod(path, 0o700)
    try {
      await writeFile(join(path, CONFIG_FILE), configTemplate(store), { flag: 'wx', mode: 0o600 })
      return true
    } catch (error) {
      if (errorCode(error) === 'EEXIST') return false
      throw error
    }
  })
}
