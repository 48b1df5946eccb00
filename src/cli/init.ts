/** `blobs init`: makes a home. */
import { join, resolve } from 'node:path'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { Option } from 'commander'
import { createHome } from '../node/home.ts'
import { loadOrCreateIdentity } from '../node/identity.ts'
import { createHomeWith, placeOf } from '../node/init-store.ts'
import { CONFIG_FILE } from '../node/load-config.ts'
import { STORE_TYPES, type StoreInput, type StoreType } from '../node/store-config.ts'
import { parseS3Url } from '../store/object/storage/s3/url.ts'
import { type Cli, type Context, examples, openHome } from './context.ts'
import { unwrapped } from './format.ts'

/** Holds the URL of the bucket, so that no secret has to be typed. */
export const S3_URL_VARIABLE = 'BLOBS_S3_URL'

const DESCRIPTION = `Make a home: a folder with a node's identity, its configuration and its blobs.

Blobs are kept in plain files ("legacy", which is what no --store means), as objects in a folder ("filesystem"), or as objects
in a bucket ("s3"), which is looked for before anything is made. The bucket is named by --s3-url, or by ${S3_URL_VARIABLE} of
the environment, so that no secret has to stand in a command line. The keys in it are written to the configuration; leave them
out, and those of the environment are used each time (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or MINIO_ACCESS_KEY and
MINIO_SECRET_KEY).

A home that is there already is left as it is. The private key and the configuration can be read by their owner only.`

interface InitFlags {
  readonly store?: StoreType
  readonly s3Url?: string
}

/** The options do not fit together. */
export class InitOptionsError extends Error {
  override readonly name = 'InitOptionsError'
  readonly code = 'ERR_USAGE'
}

export function initCommand({ program, run }: Cli): void {
  program
    .command('init')
    .summary('make a home')
    .description(unwrapped(DESCRIPTION))
    .addOption(new Option('--store <type>', 'where blobs are kept').choices(STORE_TYPES))
    .option('--s3-url <url>', 'the bucket: s3://key:secret@host:port/bucket[/prefix][?region=…&tls=true]')
    .addHelpText(
      'after',
      examples(
        ['blobs init', 'in ~/.blobs'],
        ['blobs init --home ./node-b', 'somewhere else'],
        ['blobs init --store s3 --s3-url s3://key:secret@localhost:9000/blobs', 'blobs in a bucket'],
        [`${S3_URL_VARIABLE}=… blobs init --store s3`, 'the same'],
        ['blobs init --json', 'events for scripts: home']
      )
    )
    .action((flags: InitFlags, command) => run(command, context => init(context, flags)))
}

async function init(context: Context, flags: InitFlags): Promise<undefined> {
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
