/** How `blobs init` is called. */
import { Option } from 'commander'
import { STORE_TYPES, type StoreType } from '../../node/store-types.ts'
import { type Cli, examples } from '../context.ts'
import { unwrapped } from '../format.ts'

/** Holds the URL of the bucket, so that no secret has to be typed. */
export const S3_URL_VARIABLE = 'BLOBS_S3_URL'

const DESCRIPTION = `Make a home: a folder with a node's identity, its configuration and its blobs.

Blobs are kept in plain files ("legacy", which is what no --store means), as objects in a folder ("filesystem"), or as objects
in a bucket ("s3"), which is looked for before anything is made. The bucket is named by --s3-url, or by ${S3_URL_VARIABLE} of
the environment, so that no secret has to stand in a command line. The keys in it are written to the configuration; leave them
out, and those of the environment are used each time (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or MINIO_ACCESS_KEY and
MINIO_SECRET_KEY).

A home that is there already is left as it is. The private key and the configuration can be read by their owner only.`

export interface InitFlags {
  readonly store?: StoreType
  readonly s3Url?: string
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
    .action((flags: InitFlags, command) =>
      run(command, async context => (await import('../init.ts')).init(context, flags))
    )
}
