/** How `blobs receive` is called. */
import { loadSparingly } from '../../node/load-sparingly.ts'
import { type Cli, collect, examples } from '../context.ts'
import { unwrapped } from '../format.ts'

const DESCRIPTION = `Fetch what a ticket names, check it while it arrives, and write it to a file or folder.

It gets its own name, in the current folder; what has no name is called after the first 16 digits of its hash. With -o NAME
it is called NAME; with -o FOLDER/ (a slash at the end) it goes into FOLDER, which has to be there, under its own name.
Nothing is ever overwritten.

With a path behind the ticket only this file or folder of the collection is fetched: TICKET/photos/a.jpg.

A hash alone names a blob as it is; what a collection's hash names is its list, unless a ticket or a /path behind it says more.

Until all has arrived it is kept in .blobs-<16 digits of the hash>.part beside the target. When the transfer is interrupted,
run the same again: what is there is not fetched again. No home is needed.`

export interface ReceiveFlags {
  readonly output?: string
  readonly peer?: readonly string[]
}

export function receiveCommand({ program, run }: Cli): void {
  program
    .command('receive')
    .summary('fetch what a ticket names, into a file or folder')
    .description(unwrapped(DESCRIPTION))
    .argument('<ticket>', 'a ticket; or a hash, together with --peer; /path may follow')
    .option('-o, --output <path>', 'what to call it, or with a slash at the end where to put it')
    .option('--peer <multiaddr>', 'ask this peer too, at the same time; may be given more than once', collect)
    .addHelpText(
      'after',
      examples(
        ['blobs receive blobsaeafvo3m…', 'into the current folder'],
        ['blobs receive blobsaeafvo3m… -o copy', 'as a file or folder called "copy"'],
        ['blobs receive blobsaeafvo3m… -o downloads/', 'into the folder "downloads"'],
        ['blobs receive blobsaeafvo3m…/photos/a.jpg', 'one file of a collection'],
        ['blobs receive blobsaeafvo3m… --json', 'events for scripts: resumed, progress, done, error']
      )
    )
    .action((ticket: string, flags: ReceiveFlags, command) =>
      run(command, async context =>
        (await loadSparingly(() => import('../receive.ts'))).receive(context, ticket, flags)
      )
    )
}
