/**
 * Telling apart the folders of the two stores that keep blobs in one: opened as the other one, a folder would look empty, and
 * would soon hold both.
 */
import { opendir } from 'node:fs/promises'
import { join } from 'node:path'
import { explained, isNotFound } from '../store/fs-errors.ts'
import { parseName } from '../store/legacy-fs/layout.ts'
import type { StoreType } from './store-types.ts'

/** A folder holds the blobs of another store than it is opened as. */
export class OtherStoreError extends Error {
  override readonly name = 'OtherStoreError'
  readonly code = 'ERR_OTHER_STORE'
}

type FolderType = Exclude<StoreType, 's3'>

/** Per type of store: folders in its own, and names in them that only this store gives. */
const MARKS: Readonly<
  Record<FolderType, readonly (readonly [folder: string, isOurs: (name: string) => boolean])[]>
> = {
  legacy: [
    ['data', name => parseName(name) !== undefined],
    ['tags', name => /^[0-9a-f]{64}\.tag$/.test(name)]
  ],
  filesystem: [
    ['blobs', name => /^[a-z2-7]{52}$/.test(name)],
    ['tags', name => /^[a-z2-7]{52}$/.test(name)]
  ]
}

/**
 * Makes sure that a folder does not hold the blobs of another store.
 *
 * @param type what it is to be opened as
 * @throws OtherStoreError, StoreError
 */
export async function requireFolderOf(type: FolderType, path: string): Promise<void> {
  const other = type === 'legacy' ? 'filesystem' : 'legacy'
  if (!(await holdsStore(other, path))) return
  throw new OtherStoreError(
    `${path} holds the blobs of a store of type "${other}", not "${type}"; set type = "${other}" or another path, and to move them: blobs copy --from ${other}:${path} --to HOME`
  )
}

/** Whether a store of a type has kept something in a folder. */
export async function holdsStore(type: FolderType, path: string): Promise<boolean> {
  for (const [folder, isOurs] of MARKS[type]) if (await holdsName(join(path, folder), isOurs)) return true
  return false
}

/** Stops at the first that is found: a folder may hold millions. */
async function holdsName(folder: string, isWanted: (name: string) => boolean): Promise<boolean> {
  return await explained(`cannot read ${folder}`, async () => {
    try {
      for await (const { name } of await opendir(folder)) if (isWanted(name)) return true
    } catch (error) {
      if (!isNotFound(error)) throw error
    }
    return false
  })
}
