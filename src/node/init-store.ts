/** Giving a new home its store. */
import { resolve } from 'node:path'
import { parseConfig } from './config.ts'
import { createHome, isHome } from './home.ts'
import { loadConfig } from './load-config.ts'
import { checkStore } from './open-store.ts'
import type { StoreConfig, StoreInput } from './store-config.ts'

/** There is a home already, and its blobs are kept elsewhere than the new one's were to be. */
export class HomeExistsError extends Error {
  override readonly name = 'HomeExistsError'
  readonly code = 'ERR_HOME_EXISTS'

  constructor(home: string, there: StoreConfig, wanted: StoreConfig) {
    super(
      `${home} is a home whose blobs are in ${placeOf(there, home)}, not in ${placeOf(wanted, home)}; it stays as it is. Make another home for them, and to bring the blobs there: blobs copy --help`
    )
  }
}

/**
 * Makes a home with a store, after making sure that the store's bucket or folder can be used: when it cannot, nothing is
 * written.
 *
 * @returns whether there was none before; one that is there has the same store
 * @throws HomeExistsError, InvalidConfigError, StoreError
 */
export async function createHomeWith(
  home: string,
  input: StoreInput,
  signal?: AbortSignal
): Promise<boolean> {
  const wanted = parseConfig({ blobStore: input }, 'the command line').blobStore
  if (!(await isHome(home))) {
    await checkStore(wanted, home, { signal })
    if (await createHome(home, input)) return true
  }
  const there = (await loadConfig(home)).blobStore
  if (placeOf(there, home) !== placeOf(wanted, home)) throw new HomeExistsError(home, there, wanted)
  return false
}

/** Where a store keeps its blobs, in words without secrets. Two stores with the same place hold the same. */
export function placeOf(store: StoreConfig, home: string): string {
  if (store.type !== 's3') return `the folder ${resolve(home, store.path)} (type = "${store.type}")`
  const below = store.prefix === '' ? '' : ` under ${store.prefix}`
  return `the bucket ${store.bucket}${below} at ${new URL(store.endpoint).origin}`
}
