/** `blobs init`: makes a home. */
import { join, resolve } from 'node:path'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { createHome } from '../node/home.ts'
import { loadOrCreateIdentity } from '../node/identity.ts'
import { createHomeWith, placeOf } from '../node/init-store.ts'
import { CONFIG_FILE } from '../node/load-config.ts'
import type { StoreInput } from '../node/store-config.ts'
import { parseS3Url } from '../store/object/storage/s3/url.ts'
import { type InitFlags, S3_URL_VARIABLE } from './commands/init.ts'
import type { Context } from './context.ts'
import { openHome } from './open-home.ts'

/** The options do not fit together. */
export class InitOptionsError extends Error {
  override readonly name = 'InitOptionsError'
  readonly code = 'ERR_USAGE'
}

export async function init(context: Context, flags: InitFlags): Promise<undefined> {
  const { home, output, signal } = context
  const wanted = wantedStore(flags, process.env)
  const isNew = wanted === undefined ? await createHome(home) : await createHomeWith(home, wanted, signal)
  await using opened = await openHome(context)
  const { identity, blobStore } = opened.config
  const key = await loadOrCreateIdentity(resolve(home, identity), { onWarning: text => output.warn(text) })
  const peerId = peerIdFromPrivateKey(key).toString()
  output.note(isNew ? `made a home at ${home}` : `there is a home at ${home} already; it stays as it is`)
  output.note(`configuration in ${join(home, CONFIG_FILE)}`)
  output.note(`blobs in ${placeOf(blobStore, home)}`)
  output.result({ event: 'home', home, peerId, isNew, store: blobStore.type }, `peer id ${peerId}`)
}

/**
 * The store that was asked for; undefined when none was.
 *
 * @throws InitOptionsError, InvalidS3OptionsError
 */
export function wantedStore({ store, s3Url }: InitFlags, env: NodeJS.ProcessEnv): StoreInput | undefined {
  if (store !== 's3') {
    if (s3Url !== undefined) throw new InitOptionsError('--s3-url goes with --store s3')
    return store === undefined ? undefined : { type: store }
  }
  const url = s3Url ?? env[S3_URL_VARIABLE]
  if (url === undefined || url === '') {
    throw new InitOptionsError(`--store s3 needs --s3-url, or ${S3_URL_VARIABLE} in the environment`)
  }
  return { type: 's3', ...parseS3Url(url) }
}
