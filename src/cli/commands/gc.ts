/** How `blobs gc` is called. */
import { InvalidArgumentError } from 'commander'
import { type Cli, examples } from '../context.ts'
import { unwrapped } from '../format.ts'

const DESCRIPTION = `Delete from the home's store what no tag names, no collection with a tag contains, and no transfer or other command is
using. Partial blobs, which such a transfer could go on with, stay for some days.

It may run while the home is being served and blobs are added or fetched. The section [gc] of the config file has a node do this now
and then by itself. On a bucket that several nodes share it cannot be known what the others need: there it is refused.`

export interface GcFlags {
  readonly dryRun?: boolean
  readonly partialDays?: number
}

export function gcCommand({ program, run }: Cli): void {
  program
    .command('gc')
    .summary('delete what nothing needs any more')
    .description(unwrapped(DESCRIPTION))
    .option('--dry-run', 'only tell what would be deleted')
    .option(
      '--partial-days <days>',
      'delete partial blobs when nothing has come in for so long; 0: all (default: 7, or as the config file says)',
      parseDays
    )
    .addHelpText(
      'after',
      examples(
        ['blobs gc --dry-run', 'what would be deleted'],
        ['blobs gc', 'delete it'],
        ['blobs gc --partial-days 0', 'what is left of interrupted transfers too'],
        ['blobs gc --json', 'events for scripts: garbage (one each), collected']
      )
    )
    .action((flags: GcFlags, command) =>
      run(command, async context => (await import('../gc.ts')).gc(context, flags))
    )
}

function parseDays(text: string): number {
  const days = Number(text)
  if (text.trim() !== '' && days >= 0 && Number.isFinite(days)) return days
  throw new InvalidArgumentError('A number of days is meant, such as 7, 0.5 or 0.')
}
