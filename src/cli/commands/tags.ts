/** How `blobs tags` is called. */
import type { BlobFormat, TagQuery } from '../../store/index.ts'
import { type Cli, examples } from '../context.ts'
import { unwrapped } from '../format.ts'

const DESCRIPTION = `Look after tags: names for blobs and collections. What a tag names is kept, with all files of a collection; what
none names is deleted by "blobs gc".`

const SET = `Name a blob or collection. It need not be there. A tag of this name is replaced; what it named is kept by its other tags only.`

const REMOVE = `Delete tags, and leave the blobs to "blobs gc". "blobs rm" deletes both at once.`

export interface SetFlags {
  readonly format?: BlobFormat
}

export function tagsCommand({ program, run }: Cli): void {
  const tags = program
    .command('tags')
    .summary('list, set, rename and delete tags')
    .description(unwrapped(DESCRIPTION))
    .helpCommand(false)

  tags
    .command('list', { isDefault: true })
    .summary('list tags; the same as without a command')
    .description('List tags: what they name, whether it is a collection, and their names.')
    .option('--prefix <text>', 'only names that begin so')
    .option('--from <name>', 'only this name and those after it')
    .option('--to <name>', 'only names before this one')
    .addHelpText(
      'after',
      examples(
        ['blobs tags', 'all'],
        ['blobs tags --prefix backup/', 'those whose names begin so'],
        ['blobs tags --from 2026-01 --to 2026-07', 'a range of names'],
        ['blobs tags --json', 'events for scripts: tag']
      )
    )
    .action((query: TagQuery, command) =>
      run(command, async context => (await import('../tags.ts')).list(context, query))
    )

  const setting = tags.command('set')
  setting
    .summary('name a blob or collection')
    .description(unwrapped(SET))
    .argument('<name>', 'what to call it')
    .argument('<hash|ticket|tag>', 'what to name')
    .addOption(
      setting
        .createOption('--format <format>', 'what a hash names; tickets and tags say it themselves')
        .choices(['raw', 'hash_seq'])
    )
    .addHelpText(
      'after',
      examples(
        ['blobs tags set holidays 5abb6c4e…', 'a blob'],
        ['blobs tags set holidays photos', 'what "photos" names, under a second name']
      )
    )
    .action((name: string, target: string, flags: SetFlags, command) =>
      run(command, async context => (await import('../tags.ts')).set(context, name, target, flags))
    )

  tags
    .command('rename')
    .summary('give a tag another name')
    .description('Give a tag another name. A tag that has the new name is replaced.')
    .argument('<old>', 'its name')
    .argument('<new>', 'its name from now on')
    .addHelpText('after', examples(['blobs tags rename photos photos-2026', 'nothing else changes']))
    .action((from: string, to: string, _, command) =>
      run(command, async context => (await import('../tags.ts')).rename(context, from, to))
    )

  tags
    .command('rm')
    .summary('delete tags, and leave the blobs')
    .description(unwrapped(REMOVE))
    .argument('<name...>', 'their names')
    .addHelpText('after', examples(['blobs tags rm photos', 'what it named goes with the next "blobs gc"']))
    .action((names: string[], _, command) =>
      run(command, async context => (await import('../tags.ts')).remove(context, names))
    )
}
