/** How `blobs send` is called. */
import { loadSparingly } from '../../node/load-sparingly.ts'
import { type Cli, examples } from '../context.ts'
import { unwrapped } from '../format.ts'

const DESCRIPTION = `Share files and folders: prints a ticket for each, and serves until Ctrl-C.

Each PATH becomes a collection, so that names go with the content; a folder's own name too. In a folder hidden files count,
symbolic links and empty folders do not, and permissions and times are not kept. The content is copied into the home's store, which is made when there is none, and
stays there: see "blobs ls" and "blobs rm". Without PATH a small sample is shared.`

export function sendCommand({ program, run }: Cli): void {
  program
    .command('send')
    .summary('share files and folders, and print a ticket for each')
    .description(unwrapped(DESCRIPTION))
    .argument('[path...]', 'files and folders')
    .addHelpText(
      'after',
      examples(
        ['blobs send ./photos', 'share a folder'],
        ['blobs send a.iso b.iso', 'share two files, with a ticket each'],
        ['blobs send --listen /ip4/0.0.0.0/tcp/4001 a.iso', 'listen at a fixed port'],
        ['blobs send --json a.iso', 'events for scripts: listening, ticket']
      )
    )
    .action((paths: string[], _, command) =>
      run(command, async context => (await loadSparingly(() => import('../send.ts'))).send(context, paths))
    )
}
