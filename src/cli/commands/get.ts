/** How `blobs get` is called. */
import { loadSparingly } from '../../node/load-sparingly.ts'
import type { BlobFormat } from '../../store/index.ts'
import { type Cli, collect, examples } from '../context.ts'
import { unwrapped } from '../format.ts'

const DESCRIPTION = `Fetch a blob, or a collection with all its files, into the home's store; with -o write it to a file or folder too.

What is in the store already is not fetched: when all of it is, nobody has to be asked. A hash alone does not say who has it:
name a peer with --peer, and say --format hash_seq when it names a collection, which a ticket says by itself. -o NAME names the
file or folder, -o FOLDER/ (a slash at the end) the folder it goes into under its own name; nothing is overwritten.

With a path behind it, TICKET/photos/a.jpg, only this file or folder of the collection is fetched, and gets a tag of its own.
What was interrupted goes on where it was when the same is run again; of a collection, a tag "unfinished/…" keeps what has come for
as many days as partial blobs are kept.`

export interface GetFlags {
  readonly output?: string
  readonly peer?: readonly string[]
  readonly format?: BlobFormat
}

export function getCommand({ program, run }: Cli): void {
  const command = program.command('get')
  command
    .summary('fetch into the home, and write to files if wanted')
    .description(unwrapped(DESCRIPTION))
    .argument(
      '<hash|ticket>',
      'a ticket, ours or one of iroh; or a hash: 64 hex digits, 52 base32 characters, or a CID; /path may follow'
    )
    .option('--peer <multiaddr>', 'ask this peer too, at the same time; may be given more than once', collect)
    .option('-o, --output <path>', 'the file or folder to write to')
    .addOption(
      command
        .createOption('--format <format>', 'what a hash names; a ticket says it itself')
        .choices(['raw', 'hash_seq'])
    )
    .addHelpText(
      'after',
      examples(
        ['blobs get blobsaeafvo3m…', 'into the store'],
        ['blobs get blobsaeafvo3m… -o photos', 'and to a file or folder'],
        ['blobs get 5abb6c4e… --peer /ip4/192.0.2.1/tcp/4001/p2p/12D3Koo…', 'by its hash'],
        ['blobs get blobsaeafvo3m…/photos/a.jpg -o ./', 'one file of a collection'],
        ['blobs get 5abb6c4e… -o a.iso', 'write what is in the store'],
        ['blobs get blobsaeafvo3m… --json', 'events for scripts: resumed, progress, done, error']
      )
    )
    .action((what: string, flags: GetFlags, self) =>
      run(self, async context => (await loadSparingly(() => import('../get.ts'))).get(context, what, flags))
    )
}
