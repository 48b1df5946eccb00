/** How `blobs add` is called. */
import { type Cli, examples } from '../context.ts'
import { unwrapped } from '../format.ts'

const DESCRIPTION = `Put files and folders into the home's store.

A file becomes one blob, which does not know the file's name; with --collection it becomes a collection of one, as "send" makes
it. A folder becomes a collection. In a folder hidden files count, symbolic links and empty folders do not, and permissions and times are not kept. Each gets a tag, called
as the file or folder, so that it is meant to be kept. When the home is being served, a ticket is printed too.`

export interface AddFlags {
  readonly collection?: boolean
  readonly tag?: string
}

export function addCommand({ program, run }: Cli): void {
  program
    .command('add')
    .summary("put files and folders into the home's store")
    .description(unwrapped(DESCRIPTION))
    .argument('<path...>', 'files and folders')
    .option('--collection', 'let the name of a file go with it')
    .option('--tag <name>', 'what to call the tag')
    .addHelpText(
      'after',
      examples(
        ['blobs add a.iso', 'one blob'],
        ['blobs add ./photos ./music', 'two collections'],
        ['blobs add --tag backup-2026 ./backup', 'under another name'],
        ['blobs add --json a.iso', 'events for scripts: added, ticket']
      )
    )
    .action((paths: string[], flags: AddFlags, command) =>
      run(command, async context => (await import('../add.ts')).add(context, paths, flags))
    )
}
