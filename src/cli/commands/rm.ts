/** How `blobs rm` is called. */
import { type Cli, examples } from '../context.ts'
import { unwrapped } from '../format.ts'

const DESCRIPTION = `Remove from the home's store what a tag names, with all files of a collection; or one blob by its hash.

What another tag names, or has in its collection, stays. A blob that a tag holds is not removed by its hash, unless with --force,
which removes the tags that name it too. What a transfer or another command is using is removed all the same.`

export interface RmFlags {
  readonly force?: boolean
}

export function rmCommand({ program, run }: Cli): void {
  program
    .command('rm')
    .summary('remove tags with what they name, or blobs')
    .description(unwrapped(DESCRIPTION))
    .argument('<tag|hash...>', 'names of tags, hashes or tickets')
    .option('--force', 'remove a blob also when a tag holds it')
    .addHelpText(
      'after',
      examples(
        ['blobs rm photos', 'what was added as "photos"'],
        ['blobs rm 5abb6c4e…', 'a blob that no tag holds'],
        ['blobs rm --force 5abb6c4e…', 'a blob, whoever holds it']
      )
    )
    .action((targets: string[], flags: RmFlags, command) =>
      run(command, async context => (await import('../rm.ts')).rm(context, targets, flags))
    )
}
