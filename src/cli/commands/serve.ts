/** How `blobs serve` is called. */
import { loadSparingly } from '../../node/load-sparingly.ts'
import { type Cli, examples } from '../context.ts'
import { unwrapped } from '../format.ts'

const DESCRIPTION = `Serve the blobs of the home until Ctrl-C, and print a ticket for everything that has a tag.

What other commands add meanwhile is served at once: "blobs add" prints its ticket then. Peers whose ids are listed in the
configuration (authorize, below [push]) may push blobs into the store: each push is told, and kept by a tag "pushed/HASH".`

export function serveCommand({ program, run }: Cli): void {
  program
    .command('serve')
    .alias('daemon')
    .summary('serve what is in the home')
    .description(unwrapped(DESCRIPTION))
    .addHelpText(
      'after',
      examples(
        ['blobs serve', 'listen as the configuration says'],
        ['blobs serve --listen /ip4/0.0.0.0/tcp/4001', 'listen at a fixed port: tickets stay good'],
        ['blobs serve --verbose', 'tell of each request'],
        ['blobs serve --json', 'events for scripts: listening, ticket, pushed']
      )
    )
    .action((_, command) =>
      run(command, async context => (await loadSparingly(() => import('../serve.ts'))).serve(context))
    )
}
