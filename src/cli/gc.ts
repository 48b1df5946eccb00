/** `blobs gc`: deletes what nothing needs any more. */
import { InvalidArgumentError } from 'commander'
import { collectGarbage } from '../node/gc/collect.ts'
import { type Cli, type Context, examples, openHome } from './context.ts'
import { formatBytes, plural, unwrapped } from './format.ts'

const DESCRIPTION = `Delete from the home's store what no tag names, no collection with a tag contains, and no transfer or other command is
using. Partial blobs, which such a transfer could go on with, stay for some days.

It may run while the home is being served and blobs are added or fetched. The section [gc] of the config file has a node do this now
and then by itself. On a bucket that several nodes share it cannot be known what the others need: there it is refused.`

const DAY_MS = 24 * 60 * 60 * 1000

interface GcFlags {
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
    .action((flags: GcFlags, command) => run(command, context => gc(context, flags)))
}

async function gc(context: Context, { dryRun = false, partialDays }: GcFlags): Promise<undefined> {
  const { output, signal } = context
  await using opened = await openHome(context)
  const { store, config } = opened
  const report = await collectGarbage(store, {
    signal,
    isDryRun: dryRun,
    partialAgeMs: (partialDays ?? config.gc.partialDays) * DAY_MS,
    onGarbage: ({ hash, bytes, isPartial }) => {
      const event = { event: 'garbage', hash, bytes, isPartial }
      if (output.isJson) output.result(event, '')
      else if (dryRun) output.result(event, `${hash}  ${formatBytes(bytes)}${isPartial ? '  partial' : ''}`)
      else output.detail(`deleted ${hash}, ${formatBytes(bytes)}`)
    }
  })
  const { blobs, bytes, keptBlobs, keptBytes } = report
  output.result(
    { event: 'collected', dryRun, ...report },
    `${dryRun ? 'would delete' : 'deleted'} ${plural(blobs, 'blob')}, ${formatBytes(bytes)}; ` +
      `${plural(keptBlobs, 'blob')}, ${formatBytes(keptBytes)}, ${keptBlobs === 1 ? 'stays' : 'stay'}`
  )
}

function parseDays(text: string): number {
  const days = Number(text)
  if (text.trim() !== '' && days >= 0 && Number.isFinite(days)) return days
  throw new InvalidArgumentError('A number of days is meant, such as 7, 0.5 or 0.')
}
