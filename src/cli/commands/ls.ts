/** How `blobs ls` is called. */
import { type Cli, examples } from '../context.ts'
import { unwrapped } from '../format.ts'

const DESCRIPTION = `List the blobs in the home's store, each with its size, what is held of it, and its tags.

With --partial list only those of which a part is held, and which part: ranges of bytes, "…" being the end.

With --tags list the tags instead: what they are called, and what they name.

With COLLECTION (the name of a tag, a hash or a ticket) list the names in it, with the size and what is held of each. Nobody is
asked: its own blob and its names have to be in the store. Nobody knows the size of what is absent: it is shown as "-".`

export interface LsFlags {
  readonly tags?: boolean
  readonly partial?: boolean
}

export function lsCommand({ program, run }: Cli): void {
  const command = program.command('ls')
  command
    .summary('list blobs, tags, or what is in a collection')
    .description(unwrapped(DESCRIPTION))
    .argument('[collection]', 'list what is in this')
    .addOption(command.createOption('--tags', 'list the tags').conflicts('partial'))
    .option('--partial', 'list only what is held in part')
    .addHelpText(
      'after',
      examples(
        ['blobs ls', 'hash, size, state, tags'],
        ['blobs ls --partial', 'what is still to be fetched'],
        ['blobs ls --tags', 'what was added or fetched'],
        ['blobs ls photos', 'the files in it: size, state, name'],
        ['blobs ls --json', 'events for scripts: blob; with --tags: tag; of a collection: entry']
      )
    )
    .action((collection: string | undefined, flags: LsFlags, self) =>
      run(self, async context => (await import('../ls.ts')).ls(context, collection, flags))
    )
}
